"""
The network changes under a conversation: a NAT forgets everything, a host moves to another network,
a laptop sleeps. The two are back by themselves; nothing is lost, nothing comes twice, and nobody is
asked for approval again.

Each disturbance comes `P2PCHAT_LAB_REPEAT` times in one conversation. How long it took is printed,
and is meant to be below 2 s with lines on their way; what fails a test is far above that, for a
busy machine isn't a fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.lab.case import REPETITIONS, LabTestCase
from tests.lab.conversation import Traffic, exchange
from tests.lab.peers import JsonPeer
from tests.lab.topology import Lab

HEARTBEAT = 5.0  # seconds
BACK_LIMIT = 30.0  # seconds; with lines on their way
GIVE_UP_LIMIT = 60.0  # seconds; after which a test stops waiting, to tell how long it took
PROMPT = 10.0  # seconds; a line is heard long before that where nothing needs mending
QUIET = 1.0  # seconds; of traffic before and after a disturbance
SLEEP = 60.0  # seconds

Disturbance = Callable[[Lab], None]


def reboot_one(lab: Lab) -> None:
    """One side's NAT forgets every mapping."""
    lab.left.nat[0].reboot()


def move_one(lab: Lab) -> None:
    """One host leaves its network for another."""
    lab.left.change_address()


def move_both(lab: Lab) -> None:
    """Both hosts do at the same time."""
    lab.left.change_address()
    lab.right.change_address()


class Conversation:
    """A registry with a relay, and two peers in conversation; Bob was asked for approval."""

    def __init__(self, case: LabTestCase, left: str, right: str, spare: str = "") -> None:
        self.lab = case.build_lab(left, right, spare=spare)
        registry = case.start_registry(self.lab, case.start_relay(self.lab))
        options = ("--heartbeat", str(HEARTBEAT))
        self.alice = case.start_peer(self.lab.left, "alice", registry.url, *options)
        asking = (*options, "--accept", "ask")
        self.bob = case.start_peer(self.lab.right, "bob", registry.url, *asking)
        self.begin()

    @property
    def peers(self) -> tuple[JsonPeer, JsonPeer]:
        """Both."""
        return self.alice, self.bob

    def begin(self) -> None:
        """Call, accept, talk."""
        for peer in self.peers:
            peer.wait_for("registered")
        self.alice.send("/connect bob")
        self.bob.wait_for("offer", accepted=False)
        self.bob.send("/accept")
        for peer in self.peers:
            peer.wait_for("connected")
        exchange(*self.peers, "before")

    def disturb_talk(self, disturbance: Disturbance, topic: str) -> float:
        """Disturb it while both talk; return how many seconds they were apart."""
        traffic = Traffic(*self.peers, topic)
        time.sleep(QUIET)
        disturbance(self.lab)
        took = traffic.back_after(time.monotonic(), GIVE_UP_LIMIT)
        time.sleep(QUIET)
        traffic.stop()
        return took

    def disturb_silence(self, disturbance: Disturbance, topic: str) -> float:
        """Disturb it, be silent for as long as it may take, talk; return how long that took."""
        disturbance(self.lab)
        time.sleep(HEARTBEAT + BACK_LIMIT)
        began = time.monotonic()
        exchange(*self.peers, topic, 1)
        heard = [float(peer.named("message")[-1]["arrived"]) for peer in self.peers]
        return max(heard) - began

    def approvals(self) -> int:
        """Return how often Bob was asked."""
        return sum(not offer["accepted"] for offer in self.bob.named("offer"))

    def endings(self) -> list[str]:
        """Return what was told of an end, of which there should be none."""
        names = ("disconnected", "failed")
        return [name for peer in self.peers for name in names if peer.named(name)]


class RoamingTests(LabTestCase):
    """Every disturbance, with lines on their way and without."""

    def check(
        self, disturbance: Disturbance, left: str, right: str, spare: str = "port-restricted"
    ) -> None:
        """Let it happen as often as asked, by turns with and without traffic."""
        conversation = Conversation(self, left, right, spare)
        talking, silent = [], []
        for n in range(REPETITIONS):
            talking.append(conversation.disturb_talk(disturbance, f"talk{n}"))
            silent.append(conversation.disturb_silence(disturbance, f"silence{n}"))
        tell(f"{disturbance.__name__}, {left} and {right}: back after", talking)
        self.assertLess(max(talking), BACK_LIMIT, talking)
        self.assertLess(max(silent), PROMPT, silent)
        self.assert_same(conversation)

    def assert_same(self, conversation: Conversation) -> None:
        """Check that it is still the conversation that was approved once."""
        self.assertEqual(conversation.approvals(), 1)
        self.assertEqual(conversation.endings(), [])

    def test_nat_reboots(self) -> None:
        """The NAT keeps port numbers, so the mapping comes back as it was."""
        self.check(reboot_one, "port-restricted", "port-restricted")

    def test_symmetric_nat_reboots(self) -> None:
        """The new mapping is another one."""
        self.check(reboot_one, "symmetric", "full-cone")

    def test_hard_pair_reboots(self) -> None:
        """The new mapping is another one, and the other side filters by port."""
        self.check(reboot_one, "symmetric", "port-restricted")

    def test_relayed_nat_reboots(self) -> None:
        """The relay does not know the new mapping."""
        self.check(reboot_one, "symmetric", "symmetric")

    def test_address_changes(self) -> None:
        """From home to another network of the same kind."""
        self.check(move_one, "port-restricted", "port-restricted")

    def test_address_changes_to_mobile(self) -> None:
        """From home to a network with random mappings, and back."""
        self.check(move_one, "port-restricted", "full-cone", spare="symmetric")

    def test_address_changes_without_udp(self) -> None:
        """From home to a network that has no UDP, over the relay; and back, directly."""
        self.check(move_one, "port-restricted", "port-restricted", spare="udp-blocked")

    def test_both_addresses_change(self) -> None:
        """Neither knows any more where the other is; the registry does."""
        self.check(move_both, "port-restricted", "port-restricted")

    def test_sleep(self) -> None:
        """A laptop sleeps for a minute, its NAT forgets it; it wakes to what was typed then."""
        conversation = Conversation(self, "port-restricted", "port-restricted")
        alice, bob = conversation.peers
        alice.pause()
        bob.send("are you there?")
        time.sleep(SLEEP)
        conversation.lab.reboot_nats()
        woken = time.monotonic()
        alice.resume()
        heard = alice.wait_for("message", GIVE_UP_LIMIT, text="are you there?")
        tell("sleep: back after", [heard["arrived"] - woken])
        self.assertLess(heard["arrived"] - woken, BACK_LIMIT)
        exchange(alice, bob, "awake")
        self.assert_same(conversation)


def tell(what: str, times: list[float]) -> None:
    """Print how long it took."""
    print(what, *(f"{seconds:.2f} s" for seconds in times), flush=True)
