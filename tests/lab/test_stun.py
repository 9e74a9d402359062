"""
Three foreign STUN clients against our STUN service, from behind every NAT kind: pystun3 (RFC 3489),
coturn's `turnutils_natdiscovery` (RFC 5780) and `turnutils_stunclient` (RFC 8489). Each must name
the true kind and the true public address, and must come to an end.

`turnutils_stunclient` waits for ever for an answer from the changed address, as soon as a server
has one and the NAT filters by address: that is its own way, so it is stopped, and its first answer
counts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import attrs

from tests.lab.case import LabTestCase
from tests.lab.machines import Host
from tests.lab.peers import Registry
from tests.lab.rulesets import UDP_KINDS
from tests.lab.topology import SERVER_ADDRESSES, Lab

END_LIMIT = 40.0  # seconds; pystun3 takes 16 of them behind a port-restricted NAT
AT_ONCE = 7  # labs
FIRST_ANSWER = 3  # seconds; for the client that may wait for ever

Said = TypeVar("Said")

PYSTUN = "import stun; print(stun.get_ip_info(source_ip={!r}, stun_host={!r}))"

INDEPENDENT = "NAT with Endpoint Independent Mapping!"
OPEN_FILTER = "NAT with Endpoint Independent Filtering!"
ADDRESS_FILTER = "NAT with Address Dependent Filtering!"
PORT_FILTER = "NAT with Address and Port Dependent Filtering!"


@attrs.frozen
class Verdicts:
    """What each client says when it tells the truth; pystun3 loses the address in some cases."""

    mapping: str
    filtering: str
    label: str
    has_address: bool = True


TRUTH = {
    "open": Verdicts("No NAT! (Endpoint Independent Mapping)", OPEN_FILTER, "Open Internet"),
    "full-cone": Verdicts(INDEPENDENT, OPEN_FILTER, "Full Cone"),
    "address-restricted": Verdicts(INDEPENDENT, ADDRESS_FILTER, "Restric NAT"),
    "port-restricted": Verdicts(INDEPENDENT, PORT_FILTER, "Restric Port NAT", False),
    # The answer from the changed address, which pystun3 asks for first, takes the mapping towards
    # that address: to the socket that asked, the NAT then truly is symmetric.
    "no-firewall": Verdicts(INDEPENDENT, PORT_FILTER, "Symmetric NAT"),
    "symmetric": Verdicts(
        "NAT with Address and Port Dependent Mapping!", PORT_FILTER, "Symmetric NAT"
    ),
    "double": Verdicts(INDEPENDENT, PORT_FILTER, "Restric Port NAT", False),
}


class KindsTestCase(LabTestCase):
    """A reading from behind each kind of NAT; the clients mostly wait, so several wait at once."""

    def in_labs(
        self, kinds: Iterable[str], read: Callable[[Lab], Said]
    ) -> dict[str, tuple[str, Said]]:
        """Return, for each kind, the public address on the left, and what was read there."""

        def build_and_read(kind: str) -> tuple[str, Said]:
            lab = self.build_lab(kind)
            try:
                return lab.left.public_address, read(lab)
            finally:
                lab.close()

        wanted = list(kinds)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip(wanted, pool.map(build_and_read, wanted), strict=True))


class TwoAddressTests(KindsTestCase):
    """With two addresses, the service lets every client see the whole truth."""

    def test_pystun3(self) -> None:
        """pystun3's label is right for each kind, and its address wherever it does not lose it."""

        def read(lab: Lab) -> str:
            server = self.start_registry(lab).host.address
            program = PYSTUN.format(lab.left.address, server)
            return lab.left.run([sys.executable, "-c", program], END_LIMIT)

        for kind, (public, said) in self.in_labs(TRUTH, read).items():
            address = public if TRUTH[kind].has_address else None
            self.assertIn(f"('{TRUTH[kind].label}', {address!r}, ", said, f"{kind}: {said}")

    def test_natdiscovery(self) -> None:
        """Mapping and filtering behaviour are right for each kind."""
        self.require("turnutils_natdiscovery")

        def read(lab: Lab) -> str:
            return discover(lab.left, self.start_registry(lab).host.address)

        for kind, (public, said) in self.in_labs(TRUTH, read).items():
            self.assertIn(TRUTH[kind].mapping, said, kind)
            self.assertIn(TRUTH[kind].filtering, said, kind)
            self.assertIn(f"UDP reflexive addr: {public}:", said, kind)

    def test_stunclient(self) -> None:
        """The first answer names the public address, and offers the other one."""
        self.require("turnutils_stunclient")

        def read(lab: Lab) -> str:
            return ask(lab.left, self.start_registry(lab).host.address)

        for kind, (public, said) in self.in_labs(UDP_KINDS, read).items():
            self.assertIn(f"UDP reflexive addr: {public}:", said, kind)
            self.assertIn(f"Other addr: : {SERVER_ADDRESSES[1]}:3479", said, kind)


class OneAddressTests(KindsTestCase):
    """With one address the kind cannot be told, and every client must still end."""

    def start_single(self, lab: Lab) -> str:
        """Start a registry that knows one address of the server, and return that."""
        registry = Registry(lab.server, addresses=1)
        self.addCleanup(registry.close)
        registry.start()
        return lab.server.address

    def test_coturn(self) -> None:
        """coturn's clients end at once, and each prints the true address."""

        def read(lab: Lab) -> tuple[str, str]:
            server = self.start_single(lab)
            return discover(lab.left, server), ask(lab.left, server)

        for kind, (public, both) in self.in_labs(UDP_KINDS, read).items():
            for said in both:
                self.assertIn(f"UDP reflexive addr: {public}:", said, kind)

    def test_pystun3(self) -> None:
        """pystun3 ends, if only in a traceback; told "unknown attribute" it would ask for ever."""

        def read(lab: Lab) -> str:
            program = PYSTUN.format(lab.left.address, self.start_single(lab))
            return lab.left.run([sys.executable, "-c", program], END_LIMIT)

        kinds = ("open", "full-cone", "port-restricted", "symmetric")
        self.assertEqual(set(self.in_labs(kinds, read)), set(kinds))


def discover(host: Host, server: str) -> str:
    """Run coturn's discovery of mapping and filtering behaviour."""
    options = ["-m", "-f", "-L", host.address, "-l", "5555"]
    return host.run(["turnutils_natdiscovery", *options, server], END_LIMIT)


def ask(host: Host, server: str) -> str:
    """Run coturn's STUN client, for so long as its first answer can take."""
    return host.run(["timeout", str(FIRST_ANSWER), "turnutils_stunclient", server], END_LIMIT)
