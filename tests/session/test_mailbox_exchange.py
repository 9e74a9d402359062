"""What two say on a link of their mailboxes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.announcement import MOST
from p2pchat.session.mailbox_exchange import MailboxExchange
from p2pchat.wire.messages import MAILS, Mailbox, decode, encode
from tests.session.pair import Pair

ONE = Mailbox(b"t" * 32, ("https://one.example",))
TWO = Mailbox(b"t" * 32, ("https://one.example", "https://two.example"))


class ExchangeTests(SynchronousTestCase):
    """One side of a link."""

    def setUp(self) -> None:
        self.ours: Mailbox | None = ONE
        self.learned: list[Mailbox] = []
        self.exchange = MailboxExchange(lambda: self.ours, self.learned.append)
        self.exchange.link_opened()

    def said(self, *features: str) -> Mailbox | None:
        """Return what goes out to a peer with these features."""
        return self.exchange.next_message(features or (MAILS,))

    def test_once(self) -> None:
        """It is said once on a link, and on the next one again."""
        self.assertEqual([self.said(), self.said()], [ONE, None])
        self.exchange.link_opened()
        self.assertEqual(self.said(), ONE)

    def test_changed(self) -> None:
        """A change is said; what stays the same isn't."""
        self.said()
        self.exchange.changed()
        self.assertIsNone(self.said())
        self.ours = TWO
        self.exchange.changed()
        self.assertEqual(self.said(), TWO)

    def test_taken_back(self) -> None:
        """What was said is taken back by an empty one; where nothing was, nothing is said."""
        self.said()
        self.ours = None
        self.exchange.changed()
        self.assertEqual(self.said(), Mailbox())
        self.exchange.link_opened()
        self.assertIsNone(self.said())

    def test_older_program(self) -> None:
        """Whoever doesn't know of mailboxes is told nothing."""
        self.assertIsNone(self.said("renew"))
        self.assertEqual(self.said(), ONE)

    def test_too_often(self) -> None:
        """Whoever says it again and again breaks a rule."""
        for _ in range(MOST):
            self.exchange.receive(TWO)
        self.assertEqual(len(self.learned), MOST)
        self.assertRaises(RemoteProtocolError, self.exchange.receive, TWO)
        self.exchange.link_opened()
        self.exchange.receive(TWO)

    def test_wire(self) -> None:
        """It comes back from the wire as it was, and its token is in no log."""
        self.assertEqual(decode(encode(TWO)), TWO)
        self.assertNotIn("t" * 8, repr(TWO))


class LinkTests(SynchronousTestCase):
    """Two whole endpoints."""

    def test_both(self) -> None:
        """Each learns on the link what the other lets it know, and what changes there."""
        known = {"alice": ONE, "bob": TWO}
        pair = Pair(mailboxes=known)
        pair.connect()
        pair.run(1.0)
        self.assertEqual((pair.alice.learned, pair.bob.learned), ([TWO], [ONE]))
        known["alice"] = TWO
        pair.alice.endpoint.mailbox_changed()
        pair.run(1.0)
        self.assertEqual(pair.bob.learned, [ONE, TWO])
