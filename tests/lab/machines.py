"""
What stands in the lab: NAT boxes with their troubles, and hosts to run programs on.

A host may have a spare attachment beside the one in use: another network behind other boxes, as
a phone has Wi-Fi and the mobile network. `Host.change_address` moves it from one to the other.

Owns the processes started on a host; `Host.end_processes` ends them.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from tests.lab.blueprint import enter, run_command
from tests.lab.rulesets import (
    apart_ruleset,
    long_ruleset,
    nat_ruleset,
    pool_ruleset,
    proxies_ruleset,
    quic_ruleset,
    severed_ruleset,
    size_ruleset,
    trouble_ruleset,
    watch_ruleset,
    weather_ruleset,
)


@attrs.define
class NatBox:
    """One NAT box: its `kind` of translation, its outward `address`, and its troubles."""

    namespace: str
    kind: str
    address: str
    _inside: str
    _cut: bool = False
    _loss: float = 0.0

    def reboot(self) -> None:
        """Forget every mapping and every contact."""
        self._apply(f"delete table ip nat\n{nat_ruleset(self.kind, self._inside, self.address)}")
        run_command([*enter(self.namespace), "conntrack", "-F"])

    def sever(self) -> int:
        """
        Drop all that belongs to the TCP connections of now, in silence; new ones are fine.

        Returns how many there were.
        """
        command = ["conntrack", "-L", "-p", "tcp", "--state", "ESTABLISHED"]
        known = run_command([*enter(self.namespace), *command])
        ports = set(re.findall(r"^tcp .*?sport=([0-9]+)", known, re.MULTILINE))
        self._apply(severed_ruleset(map(int, ports)))
        return len(ports)

    def severed(self) -> int:
        """Return how many packets of such connections were dropped since."""
        return self._count("severed", "dropped")

    def block(self) -> None:
        """Cut the uplink: nothing enters or leaves, and nobody is told."""
        self._cut = True
        self._set_weather()

    def unblock(self) -> None:
        """Join the uplink again."""
        self._cut = False
        self._set_weather()

    def set_loss(self, fraction: float) -> None:
        """Lose this fraction of packets at random, each way."""
        self._loss = fraction
        self._set_weather()

    def trouble(self, name: str) -> None:
        """Be one of `rulesets.TROUBLES`, instead of another."""
        self._apply(trouble_ruleset(name))

    def keep_from(self, address: str) -> None:
        """Let nothing pass to and from an address, instead of another; "" lets all pass."""
        self._apply(apart_ruleset(address))

    def draw_from(self, first: str, last: str) -> None:
        """Have these public addresses, which must lead here, and draw one for each destination."""
        self._apply(pool_ruleset(first, last))

    def drop_quic(self, dropped: bool = True, entering: str = "") -> None:
        """Drop QUIC's long headers, both ways or those that enter there, or let them pass again."""
        self._apply(quic_ruleset(dropped, entering))

    def drop_long(self, most: int | None) -> None:
        """Drop UDP's packets of more bytes than this, both ways, or let them pass again."""
        self._apply(long_ruleset(most))

    def count_large(self, least: int) -> None:
        """Count, from now on, UDP's packets through the box that have so many bytes."""
        self._apply(size_ruleset(least))

    def large_ones(self) -> int:
        """Return how many there were."""
        return self._count("sizes", "large")

    def let_out_only_proxies(self) -> None:
        """Forward nothing from inside, in silence; programs on the box still go out."""
        self._apply(proxies_ruleset())

    def arrivals(self) -> int:
        """Return how many UDP datagrams have reached the box from outside, wanted or not."""
        return self._count("uplink", "arrivals")

    def watch(self, addresses: Iterable[str]) -> None:
        """Count, from now on, packets from and to these addresses, wherever they end."""
        self._apply(watch_ruleset(addresses))

    def watched(self) -> tuple[int, int]:
        """Return how many packets from the watched addresses came here, and how many to them."""
        return self._count("watch", "from_them"), self._count("watch", "to_them")

    def machine(self) -> Host:
        """Return the box as a machine to run programs on."""
        return Host(self.namespace, (self.address,))

    def _set_weather(self) -> None:
        self._apply(weather_ruleset(self._cut, self._loss))

    def _apply(self, rules: str) -> None:
        run_command([*enter(self.namespace), "nft", "-f", "-"], rules)

    def _count(self, table: str, counter: str) -> int:
        words = ["nft", "-j", "list", "counter", "ip", table, counter]
        objects = json.loads(run_command([*enter(self.namespace), *words]))["nftables"]
        return next(int(found["counter"]["packets"]) for found in objects if "counter" in found)


@attrs.frozen
class Attachment:
    """How a host hangs on a network: by which device, as whom, and which boxes stand before it."""

    device: str
    address: str  # with its prefix length
    gateway: str
    nat: tuple[NatBox, ...]

    def joining(self) -> list[str]:
        """Return the `ip` commands that make a host use this network."""
        return [
            f"address add {self.address} dev {self.device}",
            f"route add default via {self.gateway}",
        ]

    def leaving(self) -> list[str]:
        """
        Return the `ip` commands that make a host forget this network, its routes too.

        The link stays up: the kernel may take a second to tell a bridge that a link is back, and
        what is sent until then is lost.
        """
        return [f"address flush dev {self.device}"]


@attrs.define
class Host:
    """A machine to run programs on; `nat` lists the boxes before it, outermost first."""

    namespace: str
    addresses: tuple[str, ...]
    nat: tuple[NatBox, ...] = ()
    attachments: tuple[Attachment, ...] = ()  # the one in use, then the spare one
    _started: list[subprocess.Popen[Any]] = attrs.Factory(list)

    @property
    def address(self) -> str:
        """The host's own (first) address, as it sees itself."""
        return self.addresses[0]

    @property
    def public_address(self) -> str:
        """The address that the internet sees this host at."""
        translating = [box.address for box in self.nat if box.kind != "open"]
        return translating[0] if translating else self.address

    def change_address(self) -> None:
        """Leave the network in use for the spare one, which trades places with it."""
        old, new = self.attachments
        commands = [*old.leaving(), *new.joining()]
        run_command([*enter(self.namespace), "ip", "-batch", "-"], "\n".join(commands) + "\n")
        self.attachments = (new, old)
        self.addresses = (new.address.split("/")[0],)
        self.nat = new.nat

    def join_spare(self) -> None:
        """Use the spare network beside the one in use, and first, as a VPN that comes up."""
        spare = self.attachments[1]
        commands = [
            f"address add {spare.address} dev {spare.device}",
            f"route replace default via {spare.gateway}",
        ]
        run_command([*enter(self.namespace), "ip", "-batch", "-"], "\n".join(commands) + "\n")

    def leave_spare(self) -> None:
        """Use the first network alone again."""
        old, spare = self.attachments
        commands = [f"route replace default via {old.gateway}", *spare.leaving()]
        run_command([*enter(self.namespace), "ip", "-batch", "-"], "\n".join(commands) + "\n")

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program here, as `subprocess.Popen` would; it ends with the lab."""
        process = subprocess.Popen([*enter(self.namespace), *argv], **options)
        self._started.append(process)
        return process

    def run(self, argv: Sequence[str], timeout: float, **options: Any) -> str:
        """Run a program to its end here and return its output, standard error included."""
        done = subprocess.run(
            [*enter(self.namespace), *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
            **options,
        )
        return str(done.stdout)

    def end_processes(self) -> None:
        """Kill whatever still runs of what was started here."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()
        self._started.clear()
