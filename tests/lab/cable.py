"""
A cable of a lab that delays, loses, limits, and holds up what is too large; see `impairment`.

A cable is asked for by the name of the end that it leads away from, "ROOM:DEVICE": a host's
`left-host0:eth0`, a NAT's `left-nat0:wan`. It has a namespace of its own between the two rooms that
it joins::

    left-host0 eth0 --- near  cable0  far --- port0 left-nat0

Its two ends get whole packets: the interfaces in the rooms may not send several in one
(`gso_max_segs 1`). Owns the process that carries the frames, which ends with `close`, or when
whoever started it does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs

from tests.lab.blueprint import enter
from tests.lab.impairment import Impairment

REPOSITORY = Path(__file__).parents[2]
ARGUMENTS = ("-m", "tests.lab.cable_program", "near", "far")


@attrs.define
class Cable:
    """One cable that stands, without any impairment until there is a `change`."""

    _process: subprocess.Popen[str]

    @classmethod
    def lay(cls, namespace: str) -> Cable:
        """Start the process that carries the frames in the namespace of a cable."""
        pipe = subprocess.PIPE
        options: dict[str, Any] = {"stdin": pipe, "stdout": pipe, "text": True, "bufsize": 1}
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        argv = [*enter(namespace), sys.executable, *ARGUMENTS]
        return cls(subprocess.Popen(argv, env=environment, **options))

    def await_ready(self) -> None:
        """Wait until it carries frames."""
        self._expect("ready")

    def change(self, outward: Impairment, inward: Impairment | None = None) -> None:
        """
        From now on impair frames so; those that are in the cable stay as they are.

        Outward leads away from the end that the cable is named after; inward is the same unless
        said otherwise.
        """
        ways = {"outward": outward, "inward": outward if inward is None else inward}
        self._order({name: attrs.asdict(impairment) for name, impairment in ways.items()})
        self._expect("changed")

    def fragments(self) -> int:
        """Return how many pieces of IPv4 packets it has carried, both ways."""
        self._order({})
        return int(self._hear())

    def close(self) -> None:
        """Cut it: nothing passes any more."""
        self._process.kill()
        self._process.communicate()

    def _order(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")

    def _hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def _expect(self, expected: str) -> None:
        said = self._hear()
        assert said == expected, f"a cable said {said!r} where {expected!r} was due"
