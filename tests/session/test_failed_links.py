"""Links on which no conversation comes about."""

from __future__ import annotations

import attrs

from p2pchat import events
from p2pchat.session.control import Control
from p2pchat.session.peer_session import LINGERING
from p2pchat.wire.messages import ChatMessage, Hello
from p2pchat.wire.strict_json import JsonObject
from tests.session.test_peer_session import SessionCase


class NewerHello(Hello):
    """A HELLO of a program that comes after ours."""

    def to_json(self) -> JsonObject:
        """Return the members, the version among them."""
        return {**super().to_json(), "v": 9}


class NewerControl(Control):
    """What such a program says."""

    def next_message(self, now: float) -> ChatMessage | None:
        """Return what goes out next."""
        message = super().next_message(now)
        return NewerHello(**attrs.asdict(message)) if isinstance(message, Hello) else message


class NoConversationTests(SessionCase):
    """A link on which no conversation comes about."""

    def test_version(self) -> None:
        """Of a peer who speaks another version on the link both read why nothing came of it."""
        session = self.bob.session
        session.link.control = NewerControl("bob", session.conversation)
        self.alice.call(self.now)
        self.pair.run_until(lambda: self.bob.events(events.Disconnected), 5)
        (failed,) = self.alice.events(events.CallFailed)
        (ended,) = self.bob.events(events.Disconnected)
        self.assertEqual((failed.reason, ended.reason), ("unsupported-version",) * 2)
        self.assertIn("version 9", failed.explanation)
        self.assertEqual(self.alice.events(events.Connected), [])
        self.pair.run(2 * LINGERING)
        self.assertFalse(self.alice.session.is_alive or self.bob.session.is_alive)

    def test_hung_up(self) -> None:
        """Who hangs up while the link is being proved is told so."""
        self.alice.call(self.now)
        self.pair.run_until(lambda: self.bob.events(events.PathFound))
        self.bob.session.disconnect(self.now)
        self.bob.outgoing(self.now)
        (ended,) = self.bob.events(events.CallFailed)
        self.assertEqual((ended.reason, ended.ours), ("cancelled", True))
        self.assertFalse(self.bob.session.is_alive)
