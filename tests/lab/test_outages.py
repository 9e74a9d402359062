"""
What breaks while two peers talk: the registry, a peer, the network; and what must survive it.
"""

from __future__ import annotations

import tempfile
import time

from tests.cases import each
from tests.lab.case import LabTestCase
from tests.lab.conversation import connect, exchange, hear, say
from tests.lab.impairment import Impairment
from tests.lab.peers import JsonPeer, Registry
from tests.lab.topology import Lab

NOTICE_LIMIT = 90.0  # seconds; to notice that a peer is gone without a word
RETURN_LIMIT = 90.0  # seconds; to register again, or to find a path again
SOON = 40.0  # seconds; a call to somebody whose event stream is dead takes 10, on a quiet machine
LONG_TALK = 20.0  # seconds; a heartbeat among them
SLEEP = 75.0  # seconds, longer than a lease
OUTAGE = 30.0  # seconds without network
SEVERED = ((True, True), (True, False), (False, True))  # whose streams: the caller's, the called's


class OutageTests(LabTestCase):
    """Alice and Bob, each behind a port-restricted NAT, and one misfortune."""

    def start(self) -> tuple[Lab, Registry, JsonPeer, JsonPeer]:
        """Start them and let them talk."""
        lab = self.build_lab("port-restricted", "port-restricted")
        registry = self.start_registry(lab)
        alice = self.start_peer(lab.left, "alice", registry.url)
        bob = self.start_stateful_bob(lab, registry)
        for peer in (alice, bob):
            peer.wait_for("registered")
        connect(alice, bob)
        exchange(alice, bob, "before")
        return lab, registry, alice, bob

    def register(self, lab: Lab) -> tuple[JsonPeer, JsonPeer]:
        """Start them, and wait until the registry has both."""
        url = self.start_registry(lab).url
        alice = self.start_peer(lab.left, "alice", url)
        bob = self.start_peer(lab.right, "bob", url)
        for peer in (alice, bob):
            peer.wait_for("registered")
        return alice, bob

    def start_stateful_bob(self, lab: Lab, registry: Registry) -> JsonPeer:
        """Start Bob with an identity that outlives his process."""
        if not hasattr(self, "state"):
            directory = tempfile.TemporaryDirectory(prefix="p2ppeer-state-")
            self.addCleanup(directory.cleanup)
            self.state = directory.name
        return self.start_peer(lab.right, "bob", registry.url, "--state", self.state)

    def await_listing(self, registry: Registry, *usernames: str) -> None:
        """Wait until a fresh look at the registry shows all these names."""
        deadline = time.monotonic() + RETURN_LIMIT
        while not all(f'"{name}"' in (listing := registry.peers()) for name in usernames):
            self.assertLess(time.monotonic(), deadline, listing)
            time.sleep(0.5)

    @each((0.0,), (12.0,))
    def test_dead_event_streams(self, idle: float) -> None:
        """After both NATs rebooted while nobody talked, at once or later, a call joins them."""
        lab = self.build_lab("port-restricted", "port-restricted")
        alice, bob = self.register(lab)
        time.sleep(2.0)
        lab.reboot_nats()
        time.sleep(idle)
        started = time.monotonic()
        connect(alice, bob)
        self.assertLess(time.monotonic() - started, SOON)
        self.assertEqual(alice.named("failed"), [])

    @each(*((*severed, idle) for severed in SEVERED for idle in (0.0, 4.0, 12.0)))
    def test_severed_streams(self, of_caller: bool, of_called: bool, idle: float) -> None:
        """
        Event streams that a firewall drops without a word are replaced by themselves, soon.

        :param idle: seconds from then to a call.
        """
        severed = []
        lab = self.build_lab("port-restricted", "port-restricted")
        alice, bob = self.register(lab)
        time.sleep(7.0)
        for site, is_severed in ((lab.left, of_caller), (lab.right, of_called)):
            if is_severed:
                self.assertGreater(site.nat[0].sever(), 0)
                severed.append(site.nat[0])
        time.sleep(idle)
        started = time.monotonic()
        connect(alice, bob)
        self.assertLess(time.monotonic() - started, SOON)
        for peer in (alice, bob):
            self.assertEqual(peer.named("failed") + peer.named("registry_lost"), [])
        for box in severed:
            self.assertGreater(box.severed(), 0, "nothing was dropped")

    @each((0.3, 0.3), (0.05, 0.6), (0.9, 0.9), (1.0, 1.0))
    def test_far_away(self, left: float, right: float) -> None:
        """
        Two who are seconds from the registry and each other are joined, and stay so in silence.

        :param left: seconds of one way between Alice and everybody.
        :param right: the same of Bob.
        """
        ways = {"left-host0:eth0": left, "right-host0:eth0": right}
        lab = self.build_lab("port-restricted", "port-restricted", cables=tuple(ways))
        for name, seconds in ways.items():
            lab.cables[name].change(Impairment(delay=seconds))
        alice, bob = self.register(lab)
        connect(alice, bob)
        exchange(alice, bob)
        time.sleep(LONG_TALK)
        for peer in (alice, bob):
            self.assertEqual(peer.named("path_lost"), [])
            self.assertEqual(len(peer.named("calling")), int(peer is alice))
            self.assertEqual(peer.named("registry_lost"), [])
            self.assertFalse([nat for nat in peer.named("nat") if nat["udp_blocked"]])
            peer.await_last("nat", lambda nat: nat["filtering"] == "address-and-port-dependent")

    def test_registry_killed(self) -> None:
        """The conversation goes on without the registry; both register again when it is back."""
        _, registry, alice, bob = self.start()
        registry.kill()
        exchange(alice, bob, "meanwhile")
        registry.start()
        self.await_listing(registry, "alice", "bob")
        exchange(alice, bob, "after")
        for peer in (alice, bob):
            self.assertEqual(peer.named("disconnected"), [])
            self.assertEqual(len(peer.texts()), 9)

    def test_registry_sleeps(self) -> None:
        """One that stands still for longer than a lease ends no conversation, and is found."""
        _, registry, alice, bob = self.start()
        registry.pause()
        time.sleep(SLEEP)
        exchange(alice, bob, "meanwhile")
        registry.resume()
        for peer in (alice, bob):
            peer.wait_for("registered", RETURN_LIMIT)
        alice.send("/disconnect bob")
        bob.wait_for("disconnected")
        connect(bob, alice)

    def test_both_sleep(self) -> None:
        """Two who slept at the same time, longer than a lease, go on where they were."""
        _, _, alice, bob = self.start()
        for peer in (alice, bob):
            peer.pause()
        time.sleep(SLEEP)
        for peer in (alice, bob):
            peer.resume()
        exchange(alice, bob, "awake")
        for peer in (alice, bob):
            self.assertEqual(peer.named("disconnected"), [])

    def test_peer_killed(self) -> None:
        """The other notices, and can talk again to the same identity once it is back."""
        lab, registry, alice, bob = self.start()
        bob.kill()
        alice.wait_for("path_lost", NOTICE_LIMIT)
        returned = self.start_stateful_bob(lab, registry)
        registered = returned.wait_for("registered", RETURN_LIMIT)
        self.assertEqual(registered["peer_id"], bob.named("registered")[0]["peer_id"])
        connect(alice, returned)
        exchange(alice, returned, "again")
        self.assertEqual(returned.texts()[-3:], [f"again line {n}" for n in range(3)])

    def test_network_away(self) -> None:
        """What both type while one has no network arrives afterwards, once and in order."""
        lab, _, alice, bob = self.start()
        lines = [f"away line {n}" for n in range(6)]
        lab.right.nat[0].block()
        for line in lines:
            say(alice, [line])
            say(bob, [line])
            time.sleep(OUTAGE / len(lines))
        lab.right.nat[0].unblock()
        hear(alice, bob, lines, RETURN_LIMIT)
        hear(bob, alice, lines, RETURN_LIMIT)
        exchange(alice, bob, "after")
        for peer in (alice, bob):
            spoken = [f"{topic} line {n}" for topic in ("before", "after") for n in range(3)]
            self.assertEqual(peer.texts(), spoken[:3] + lines + spoken[3:], peer.username)
