"""Peers on machines with many interfaces, which may come and go."""

from __future__ import annotations

import time

from tests.lab.blueprint import enter, run_command
from tests.lab.case import LabTestCase
from tests.lab.conversation import Traffic, connect, exchange, is_local
from tests.lab.interfaces import Bridges, add_bridges
from tests.lab.machines import Host
from tests.lab.peers import JsonPeer

PROMPT = 20_000.0  # milliseconds from a call to its conversation; 20 where nothing else is done
COMINGS = 6  # times that an interface comes and goes
STAY = 0.5  # seconds
QUIET = 3.0  # seconds after which all has been told of a new conversation
# What tells a person, or a program, that something has happened to a conversation.
NEWS = ("calling", "checking", "path", "path_lost", "connected", "registry_lost", "registered")


def run_ip(host: Host, *commands: str) -> None:
    """Change a host's interfaces."""
    run_command([*enter(host.namespace), "ip", "-batch", "-"], "\n".join(commands) + "\n")


class ManyInterfacesTests(LabTestCase):
    """Alice and Bob, on such machines."""

    def couple(self, one: Host, two: Host, url: str) -> tuple[JsonPeer, JsonPeer]:
        """Start both, and wait for the registry."""
        alice, bob = self.start_peer(one, "alice", url), self.start_peer(two, "bob", url)
        for peer in (alice, bob):
            peer.wait_for("registered")
        time.sleep(1.0)  # STUN has answered
        return alice, bob

    def test_one_network(self) -> None:
        """Twenty bridges each, with the same addresses, before the interface that joins them."""
        for bridges in (Bridges(ipv6=True), Bridges(neighbours=True)):
            lab = self.build_lab("port-restricted", hosts=2)
            for host in lab.left_site.hosts:
                add_bridges(host, bridges)
            one, two = lab.left_site.hosts
            alice, bob = self.couple(one, two, self.start_registry(lab).url)
            self.assertLess(connect(alice, bob)["milliseconds"], PROMPT)
            alice.await_last("path", is_local)
            self.assertLess(len(alice.named("checking")[-1]["addresses"]), 4)
            exchange(alice, bob)

    def test_come_and_go(self) -> None:
        """Bridges that come and go in a conversation: nobody is told anything."""
        lab = self.build_lab("port-restricted", "port-restricted")
        alice, bob = self.couple(lab.left, lab.right, self.start_registry(lab).url)
        connect(alice, bob)
        exchange(alice, bob, "before")
        time.sleep(QUIET)
        before = [len(peer.named(name)) for peer in (alice, bob) for name in NEWS]
        traffic = Traffic(alice, bob, "meanwhile")
        for n in range(COMINGS):
            bridge = f"link add bridge{n} type bridge", f"address add 172.30.{n}.1/24 dev bridge{n}"
            run_ip(lab.left, *bridge, f"link set bridge{n} up")
            time.sleep(STAY)
            run_ip(lab.left, f"link delete bridge{n}")
            time.sleep(STAY)
        traffic.stop()
        after = [len(peer.named(name)) for peer in (alice, bob) for name in NEWS]
        self.assertEqual(after, before)

    def test_another_way_out(self) -> None:
        """A cable that takes the traffic over while Wi-Fi stays is used at once."""
        lab = self.build_lab("port-restricted", "port-restricted", spare="port-restricted")
        alice, bob = self.couple(lab.left, lab.right, self.start_registry(lab).url)
        connect(alice, bob)
        exchange(alice, bob, "before")
        cable, traffic = lab.left.attachments[1], Traffic(alice, bob, "meanwhile")
        run_ip(
            lab.left,
            f"address add {cable.address} dev {cable.device}",
            f"route replace default via {cable.gateway}",
        )
        new_address = cable.nat[-1].address
        bob.await_last("path", lambda path: path["address"].startswith(f"{new_address}:"))
        traffic.stop()
