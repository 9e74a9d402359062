"""Presence of contacts: who is asked for and how often, what is announced, what is remembered."""

from __future__ import annotations

from collections import abc
from typing import Any, cast

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.errors import RegistryError
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.presence import (
    ABSENT,
    INTERVAL,
    MAX_ANNOUNCED,
    PAUSE,
    SAVED,
    STALE,
    ContactPresence,
)
from p2pchat.peer.settings import ContactInfo
from p2pchat.peer.signaling import SignalingGroup
from p2pchat.session.privacy import Privacy
from p2pchat.wire.presence import MAX_ASKED
from tests.identity.people import BOB, CAROL
from tests.peer.fake_signaling import FakeSignaling

START = 1_800_000_000.0


@attrs.define
class Session:
    """A session as far as presence looks at it."""

    peer_id: str
    is_open: bool = True


@attrs.define
class Sessions:
    """An endpoint likewise."""

    sessions: dict[str, Session] = attrs.Factory(dict)
    privacy: Privacy = attrs.Factory(Privacy)

    @property
    def context(self) -> Sessions:
        """What sessions share."""
        return self

    def alive(self) -> list[Session]:
        """Return those that are alive."""
        return list(self.sessions.values())


class Registry(FakeSignaling):
    """A registry that remembers who was asked for."""

    def presence(self, peer_ids: Any) -> Any:
        """Tell who is there."""
        self.asked: list[tuple[str, ...]] = [*getattr(self, "asked", []), tuple(peer_ids)]
        return super().presence(peer_ids)


class PresenceCase(SynchronousTestCase):
    """A node's presence, with Bob for a contact, and a registry that says what the test wants."""

    def setUp(self) -> None:
        self.clock, self.endpoint = Clock(), Sessions()
        self.registry = Registry(names={})
        self.told: list[events.NodeEvent] = []
        self.found: list[str] = []
        self.saves = 0
        self.contacts = Contacts(self.save)
        self.contacts.keep(BOB.peer_id, "bob")
        self.presence = ContactPresence(
            self.contacts,
            cast(Any, self.endpoint),
            SignalingGroup([self.registry], self.clock),
            self.clock,
            lambda: START + self.clock.seconds(),
            self.told.append,
            self.found.append,
        )

    def save(self, _rows: abc.Mapping[str, str | None]) -> None:
        self.saves += 1

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with the looks of a node."""
        for _ in range(int(seconds / PAUSE)):
            self.clock.advance(PAUSE)
            self.presence.look()

    def come(self, peer_id: str = BOB.peer_id) -> None:
        """Let somebody be registered."""
        self.registry.names[peer_id] = "x"

    def go(self, peer_id: str = BOB.peer_id) -> None:
        """Let somebody be there no more."""
        del self.registry.names[peer_id]

    def news(self) -> list[tuple[str, bool]]:
        """Return what was announced: states, and whether aloud."""
        kind = events.PresenceChanged
        return [(one.state, not one.quiet) for one in self.told if isinstance(one, kind)]

    def state(self) -> str:
        """Return what is known of Bob."""
        return self.presence.state(BOB.peer_id)


class AskingTests(PresenceCase):
    """Who is asked for."""

    def test_together(self) -> None:
        """All contacts are asked for in one request, every two minutes."""
        self.contacts.keep(CAROL.peer_id, "carol")
        self.pass_time(3 * INTERVAL)
        self.assertEqual([set(one) for one in self.registry.asked], 3 * [self.ids()])

    def ids(self) -> set[str]:
        """Return the ids of the contacts."""
        return set(self.contacts.names())

    def test_many(self) -> None:
        """Thousands are asked for a part at a time, with a pause, each as often as any."""
        for number in range(1, 3 * MAX_ASKED):
            self.contacts.keep(f"{number:08x}-0000-8000-8000-000000000000", f"n{number}")
        self.pass_time(INTERVAL)
        self.assertEqual([len(one) for one in self.registry.asked], [MAX_ASKED] * 3)
        self.assertEqual({one for some in self.registry.asked for one in some}, self.ids())

    def test_not_asked(self) -> None:
        """Who is blocked, or has a link, isn't asked for; who is invisible asks for nobody."""
        self.contacts.keep(CAROL.peer_id, "carol")
        self.contacts.block(CAROL.peer_id, "carol", True)
        self.endpoint.sessions[BOB.peer_id] = Session(BOB.peer_id)
        self.pass_time(INTERVAL)
        self.endpoint.sessions.clear()
        self.endpoint.privacy.is_invisible = True
        self.pass_time(INTERVAL)
        self.assertFalse(hasattr(self.registry, "asked"))

    def test_strangers(self) -> None:
        """Of who is no contact nothing is kept or told, though somebody asked for him."""
        self.come(CAROL.peer_id)
        found = self.successResultOf(self.presence.ask([CAROL.peer_id]))
        self.assertEqual(found, {CAROL.peer_id: True})
        self.pass_time(INTERVAL)
        self.assertEqual((self.news(), self.presence.state(CAROL.peer_id)), ([], ""))

    def test_away(self) -> None:
        """A registry that can't be asked tells nothing, and nobody is gone by it."""
        self.come()
        self.pass_time(INTERVAL)
        self.assertEqual(self.state(), "registered")
        self.registry.error = RegistryError("away")
        self.pass_time(STALE + INTERVAL + ABSENT)
        self.assertEqual((self.state(), self.news()), ("", [("registered", False)]))


class AnnouncingTests(PresenceCase):
    """What is told, and how often."""

    def test_comes(self) -> None:
        """One who comes is announced once, and the lines for him go at once."""
        self.pass_time(INTERVAL)
        self.assertEqual(self.state(), "absent")
        self.come()
        self.pass_time(3 * INTERVAL)
        self.assertEqual((self.news(), self.state()), ([("registered", True)], "registered"))
        self.assertEqual(set(self.found), {BOB.peer_id})

    def test_there_at_start(self) -> None:
        """Who is there when the program begins is told to programs, and to no person."""
        self.come()
        self.pass_time(INTERVAL)
        self.assertEqual(self.news(), [("registered", False)])

    def test_flapping(self) -> None:
        """One who comes and goes within five minutes, or of whom a registry says so, is no news."""
        self.come()
        self.pass_time(INTERVAL)
        for _ in range(20):
            self.go()
            self.pass_time(INTERVAL)
            self.come()
            self.pass_time(INTERVAL)
        self.assertEqual(self.news(), [("registered", False)])

    def test_gone(self) -> None:
        """Who is gone for longer is told to programs, and announced when he comes again."""
        self.come()
        self.pass_time(INTERVAL)
        self.go()
        self.pass_time(ABSENT + INTERVAL)
        self.come()
        self.pass_time(2 * INTERVAL)
        self.assertEqual(self.news()[1:], [("absent", False), ("registered", True)])
        came = self.told[-1]
        assert isinstance(came, events.PresenceChanged)
        self.assertLess(abs(came.last_seen - (START + INTERVAL)), INTERVAL + 5)

    def test_lies(self) -> None:
        """A registry that lies by the clock has 8 rows at once, and those again after 7 minutes."""
        for number in range(1, 100):
            self.contacts.keep(f"{number:08x}-0000-8000-8000-000000000000", f"n{number}")
        self.pass_time(INTERVAL)
        hours = 4
        for _ in range(hours * 3600 // int(ABSENT + 2 * INTERVAL)):
            self.registry.names.update(dict.fromkeys(self.contacts.names(), "x"))
            self.pass_time(INTERVAL)
            self.registry.names.clear()
            self.pass_time(ABSENT + INTERVAL)
        aloud = [one for one in self.news() if one == ("registered", True)]
        self.assertLessEqual(len(aloud), hours * 3600 / (ABSENT + INTERVAL) * MAX_ANNOUNCED)

    def test_muted(self) -> None:
        """Who is muted disturbs nobody by coming."""
        self.contacts.mute(BOB.peer_id, "bob", True)
        self.pass_time(INTERVAL)
        self.come()
        self.pass_time(INTERVAL)
        self.assertEqual(self.news(), [("registered", False)])

    def test_link(self) -> None:
        """An open link is told by itself, and is more than a registry knows."""
        self.pass_time(INTERVAL)
        self.endpoint.sessions[BOB.peer_id] = Session(BOB.peer_id)
        self.presence.connected(BOB.peer_id)
        self.come()
        self.assertEqual(self.state(), "reachable")
        self.endpoint.sessions.clear()
        self.pass_time(2 * INTERVAL)
        self.assertEqual((self.state(), self.news()), ("registered", []))


class RememberingTests(PresenceCase):
    """When somebody was there last."""

    def last_seen(self) -> float:
        """Return when Bob was."""
        return self.presence.last_seen(BOB.peer_id)

    def test_never(self) -> None:
        """Who was never there has no time."""
        self.pass_time(INTERVAL)
        self.assertEqual((self.last_seen(), self.contacts[BOB.peer_id].last_seen), (0.0, 0.0))

    def test_kept(self) -> None:
        """It is kept with the contact, at most every ten minutes, and at the end."""
        self.come()
        self.pass_time(INTERVAL)
        before = self.saves
        self.pass_time(3 * SAVED)
        self.assertLessEqual(self.saves - before, 4)
        self.go()
        self.pass_time(INTERVAL)
        self.presence.save()
        kept = self.contacts[BOB.peer_id].last_seen
        self.assertEqual(kept, self.last_seen())
        self.assertLess(abs(kept - (START + self.clock.seconds())), 2 * INTERVAL + 5)
        again = Contacts.from_rows(self.contacts.rows())
        self.assertEqual(again[BOB.peer_id].last_seen, kept)

    def test_listed(self) -> None:
        """A list of people has it of contacts alone."""
        self.come()
        self.pass_time(INTERVAL)
        infos = [ContactInfo(BOB.peer_id, "bob", True), ContactInfo(CAROL.peer_id, "carol", False)]
        bob, carol = self.presence.described(infos)
        self.assertEqual((bob.presence, bob.last_seen), ("registered", self.last_seen()))
        self.assertEqual((carol.presence, carol.last_seen), ("", 0.0))

    def test_answers(self) -> None:
        """Whoever asks for some is answered with what the registry says."""
        self.come()
        asked = self.presence.ask([BOB.peer_id])
        self.assertEqual(self.successResultOf(asked), {BOB.peer_id: True})
        self.registry.error = RegistryError("away")
        self.assertEqual(self.successResultOf(self.presence.ask([BOB.peer_id])), {})
