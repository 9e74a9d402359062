"""
A single UDP socket inside a lab host, for asking what the NATs there do.

Owns the process that holds the socket; it ends with `Probe.close` or with the lab.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import attrs

from tests.lab.machines import Host

Endpoint = tuple[str, int]

PROGRAM = str(Path(__file__).with_name("datagrams.py"))
SILENCE = 0.25  # seconds; nothing that follows another takes this long to arrive
FIRST_WAY = 5.0  # seconds; a lost question for a hardware address is asked again after one


@attrs.frozen
class Flow:
    """
    Numbered datagrams in a row.

    :ivar size: bytes of payload; with 28 more of headers in IPv4.
    :ivar interval: seconds between two.
    :ivar whole: whether no router may fragment them.
    :ivar silence: seconds after the last was sent or came in which nothing more is expected.
    """

    count: int = 1
    size: int = 100
    interval: float = 0.0
    whole: bool = False
    silence: float = SILENCE


@attrs.frozen
class Arrival:
    """A datagram that came: its number, and when it was sent and when it came, in seconds."""

    number: int
    sent: float
    came: float

    @property
    def took(self) -> float:
        """Seconds on the way."""
        return self.came - self.sent


@attrs.define
class Probe:
    """One bound socket; `send` and `receive` block."""

    address: str
    port: int
    _process: subprocess.Popen[str]

    @classmethod
    def open(cls, host: Host, address: str = "0.0.0.0", port: int = 0) -> Probe:
        """Bind a socket on `host`; port 0 is any free one."""
        argv = [sys.executable, "-I", "-S", PROGRAM, address, str(port)]
        pipe = subprocess.PIPE
        process = host.popen(argv, stdin=pipe, stdout=pipe, text=True, bufsize=1)
        assert process.stdout is not None
        return cls(address, int(process.stdout.readline()), process)

    def send(self, to: Endpoint, text: str = "probe", ttl: int = 64) -> str:
        """Send one datagram; returns "sent", or the reason the system gave."""
        return self._ask(f"send {to[0]} {to[1]} {ttl} {text}")

    def receive(self, timeout: float = SILENCE) -> tuple[str, Endpoint] | None:
        """Return the next datagram and who it is from, or None after `timeout` seconds."""
        answer = self._ask(f"receive {timeout}").split()
        if answer == ["nothing"]:
            return None
        text, address, port = answer
        return text, (address, int(port))

    def stream(self, to: Probe, flow: Flow, mapped: Endpoint | None = None) -> list[Arrival]:
        """
        Send a flow to another socket and return what came, in the order in which it came.

        `mapped` is where a NAT lets in to that socket, if it is behind one.
        """
        address, port = mapped or (to.address, to.port)
        words = f"{flow.count} {flow.interval} {flow.size} {int(flow.whole)}"
        sent = json.loads(self._ask(f"stream {address} {port} {words}"))
        found = json.loads(to._ask(f"collect {flow.silence}"))
        return [Arrival(n, sent[n], when) for n, when in found]

    def close(self) -> None:
        """Close the socket and end its process."""
        self._process.communicate()

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        return self._process.stdout.readline().strip()


def mapping(inside: Probe, outside: Probe, ttl: int = 64) -> Endpoint:
    """Send from `inside` to `outside` and return the source address that `outside` sees."""
    inside.send((outside.address, outside.port), "mapping", ttl)
    arrived = outside.receive(FIRST_WAY)
    assert arrived is not None, f"nothing from {inside} reached {outside}"
    return arrived[1]


def lets_in(outside: Probe, to: Endpoint, inside: Probe) -> bool:
    """Tell whether a datagram from `outside` to the mapping `to` reaches `inside`."""
    outside.send(to, "knock")
    arrived = inside.receive()
    assert arrived is None or arrived == ("knock", (outside.address, outside.port))
    return arrived is not None
