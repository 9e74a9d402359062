"""Mail of whole nodes: what waits for whom, through restarts, and what a registry can do to it."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from p2pchat import events
from p2pchat.errors import RegistryError
from p2pchat.identity.prekey_ring import DAY, ONE_TIMES, PREKEYS
from p2pchat.interfaces import IMailbox
from p2pchat.peer.ephemeral_store import EphemeralSecrets
from p2pchat.peer.mail_delivery import WAITING
from p2pchat.peer.mail_tokens import LEARNED
from p2pchat.wire.mailbox import envelope_name
from p2pchat.wire.messages import Mailbox
from p2pchat.wire.strict_json import dumps
from tests.identity.people import ALICE
from tests.peer.fake_mailbox import KEPT, FakeMailbox
from tests.peer.mail_case import SERVER, TOKENS, MailCase


class SlowSecrets(EphemeralSecrets):
    """
    Secrets on a slow disk.

    :ivar is_slow: whether what is put now waits for :meth:`finish`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_slow = False
        self._waiting: list[Deferred[None]] = []

    def put(self, kind: str, name: str, value: bytes) -> Deferred[None]:
        """Keep a secret."""
        done = super().put(kind, name, value)
        if self.is_slow and kind == WAITING:
            self._waiting.append(done := Deferred())
        return done

    def finish(self) -> None:
        """Let the disk be quick."""
        self.is_slow, waiting, self._waiting = False, self._waiting, []
        for one in waiting:
            one.callback(None)


class AwayTests(MailCase):
    """Both are never there at the same time."""

    def test_three_lines(self) -> None:
        """Bob is off; Alice says three lines and leaves; Bob reads them alone; she is told."""
        self.was_there(self.bob)
        self.alice.start()
        self.say(self.alice, self.bob, "one", "two", "three")
        self.internet.run(10)
        (mailed,) = self.alice.events(events.Mailed)
        self.assertEqual((mailed.count, mailed.server), (3, SERVER))
        self.assertGreater(mailed.until, self.mailboxes.now() + KEPT - 60)
        self.alice.stop()
        self.bob.start()
        self.internet.run(5)
        self.assertEqual(self.bob.texts(), ["one", "two", "three"])
        self.assertEqual(self.bob.box.envelopes, {})
        self.bob.stop()
        self.assertEqual(self.alice.events(events.MessageDelivered), [])
        self.alice.start()
        self.internet.run(5)
        self.assertEqual(len(self.alice.events(events.MessageDelivered)), 3)
        self.assertEqual(self.alice.history(self.bob), self.bob.history(self.alice))
        self.assertEqual(self.alice.node.conversations(), [])

    def test_leaves_at_once(self) -> None:
        """Alice leaves right after her line, and it is at the registry."""
        self.was_there(self.bob)
        self.alice.start()
        self.internet.run(2)
        self.say(self.alice, self.bob, "bye")
        self.internet.run(0.1)
        self.alice.stop()
        self.bob.start()
        self.internet.run(5)
        self.assertEqual(self.bob.texts(), ["bye"])

    def test_receipt_at_once(self) -> None:
        """Bob reads and leaves in the same moment: his receipt is at the registry."""
        self.was_there(self.bob)
        self.alice.start()
        self.say(self.alice, self.bob, "hi")
        self.internet.run(5)
        self.alice.stop()
        self.bob.start()
        self.internet.run(0.1)
        self.assertEqual(self.bob.texts(), ["hi"])
        self.bob.stop()
        self.alice.start()
        self.internet.run(1)
        self.assertEqual(len(self.alice.events(events.MessageDelivered)), 1)

    def test_rhythm(self) -> None:
        """Lines that come one by one over an hour are one envelope, replaced some times."""
        self.was_there(self.bob)
        self.alice.start()
        for number in range(60):
            self.say(self.alice, self.bob, f"{number}")
            self.internet.run(60)
        self.assertEqual(len(self.bob.box.envelopes), 1)
        self.assertLess(self.mailboxes.deposits, 20)
        self.internet.run(300)
        self.alice.stop()
        self.bob.start()
        self.internet.run(5)
        self.assertEqual(self.bob.texts(), [f"{number}" for number in range(60)])

    def test_answers(self) -> None:
        """They talk by mail alone, and each line is confirmed."""
        self.was_there(self.bob)
        self.alice.start()
        self.say(self.alice, self.bob, "question")
        self.internet.run(5)
        self.alice.stop()
        self.bob.start()
        self.internet.run(1)
        self.say(self.bob, self.alice, "answer")
        self.internet.run(40)
        self.bob.stop()
        self.alice.start()
        self.internet.run(5)
        self.assertEqual(self.alice.texts(), ["answer"])
        self.alice.stop()
        self.bob.start()
        self.internet.run(5)
        self.assertEqual(len(self.bob.events(events.MessageDelivered)), 1)
        self.assertEqual(self.alice.history(self.bob), self.bob.history(self.alice))

    def test_pushed(self) -> None:
        """What comes while Bob is there is taken when the registry says so."""
        self.was_there(self.bob)
        self.bob.start()
        self.internet.run(3)
        self.alice.start()
        self.say(self.alice, self.bob, "hi")
        self.internet.run(5)
        self.assertEqual(self.bob.texts(), [])
        self.bob.mail()
        self.internet.run(3)
        self.assertEqual(self.bob.texts(), ["hi"])

    def test_kept_until(self) -> None:
        """What waits says where, after a restart too, and no longer than it is there."""
        self.was_there(self.bob)
        self.alice.start()
        name = self.alice.node.send(self.bob.peer_id, "one")
        self.internet.run(5)
        (mailed,) = self.alice.events(events.Mailed)
        self.assertEqual(self.alice.node.kept_until(self.bob.peer_id, name), mailed.until)
        self.alice.stop()
        self.alice.start()
        self.internet.run(1)
        self.assertEqual(self.alice.node.kept_until(self.bob.peer_id, name), mailed.until)
        self.alice.stop()
        self.internet.run(KEPT)
        self.alice.start()
        self.assertIsNone(self.alice.node.kept_until(self.bob.peer_id, name))

    def test_ten_thousand(self) -> None:
        """Of 10,000 lines as many go as there is room for, with a word at its end."""
        self.was_there(self.bob)
        self.alice.start()
        self.internet.run(1)
        self.say(self.alice, self.bob, *(f"{number} ".ljust(80, "x") for number in range(10_000)))
        self.internet.run(60)
        (refused,) = self.alice.events(events.NotMailed)
        self.assertEqual(refused.reason, "token-full")
        mailed = sum(one.count for one in self.alice.events(events.Mailed))
        self.assertGreater(mailed, 1500)
        self.alice.stop()
        self.bob.start()
        self.internet.run(20)
        self.assertEqual(len(self.bob.texts()), mailed)
        self.assertEqual(self.bob.texts()[-1].split()[0], str(mailed - 1))


class SwitchedOffTests(MailCase):
    """Who has no mailbox, and who may use none."""

    def test_no_mailbox(self) -> None:
        """Who doesn't want any neither gives nor takes."""
        self.was_there(self.bob)
        self.alice.start(mails=False)
        self.say(self.alice, self.bob, "hi")
        self.internet.run(10)
        self.assertEqual(self.mailboxes.deposits, 0)
        self.assertIsNone(self.alice.box.prekeys)
        self.assertIsNone(self.alice.node.kept_until(self.bob.peer_id, "00" * 16 + "-1"))

    def test_hidden(self) -> None:
        """A contact that is to learn no address names a registry in vain, unless it is ours."""
        place = Mailbox(TOKENS[self.bob.peer_id], ("https://bobs-own.test",))
        self.alice.profile.secrets.put(LEARNED, self.bob.peer_id, dumps(place.to_json()))
        self.alice.profile.contacts.relay(self.bob.peer_id, True)
        self.was_there(self.bob)
        self.alice.start()
        self.say(self.alice, self.bob, "hi")
        self.internet.run(60)
        self.assertEqual(self.alice.events(events.Mailed), [])
        self.assertEqual(self.alice.events(events.NotMailed), [])

    def test_blocked(self) -> None:
        """Who is blocked may leave nothing any more, and what was left is gone, unread."""
        self.was_there(self.bob)
        self.alice.start()
        self.say(self.alice, self.bob, "hi")
        self.internet.run(5)
        self.bob.profile.contacts.block(self.alice.peer_id, "alice", True)
        self.bob.start()
        self.internet.run(5)
        self.assertEqual((self.bob.box.tokens, self.bob.box.envelopes), (set(), {}))
        self.assertEqual(self.bob.texts(), [])
        self.say(self.alice, self.bob, "hello?")
        self.internet.run(60)
        self.assertEqual(self.alice.events(events.NotMailed)[0].reason, "unknown-mailbox")

    def test_forgotten(self) -> None:
        """So is who is forgotten; a contact again, it has another token."""
        self.was_there(self.bob)
        self.bob.start()
        self.internet.run(1)
        before = set(self.bob.box.tokens)
        self.bob.node.forget(self.alice.peer_id)
        self.internet.run(5)
        self.assertEqual(self.bob.box.tokens, set())
        self.assertEqual(len(before), 1)

    def test_stranger(self) -> None:
        """An envelope of somebody who is no contact is thrown away."""
        self.was_there(self.bob)
        self.alice.start()
        self.say(self.alice, self.bob, "hi")
        self.internet.run(5)
        self.bob.profile.contacts.forget(self.alice.peer_id)
        self.bob.start()
        self.internet.run(5)
        self.assertEqual(self.bob.texts(), [])


class FailingTests(MailCase):
    """Nothing depends on a mailbox."""

    def fails(self, error: RegistryError | None) -> None:
        """Let the registry refuse everything with this."""
        self.mailboxes.error = error

    def test_away(self) -> None:
        """A registry that is away is tried again, less and less often, and told once."""
        self.was_there(self.bob)
        self.alice.start()
        self.internet.run(1)
        self.fails(RegistryError("the registry can't be reached"))
        self.say(self.alice, self.bob, "hi")
        self.internet.run(120)
        self.assertEqual(len(self.alice.events(events.NotMailed)), 1)
        self.fails(None)
        self.internet.run(180)
        self.assertEqual(len(self.alice.events(events.Mailed)), 1)

    def test_no_prekey(self) -> None:
        """Where nothing can be sealed, the line waits here, and goes when it can."""
        self.was_there(self.bob)
        self.internet.run(36 * DAY)
        self.alice.start()
        self.say(self.alice, self.bob, "hi")
        self.internet.run(10)
        (refused,) = self.alice.events(events.NotMailed)
        self.assertEqual(refused.reason, "no-prekeys")
        self.was_there(self.bob)
        self.internet.run(3700)
        self.assertEqual(len(self.alice.events(events.Mailed)), 1)

    def test_full_disk(self) -> None:
        """What can't be stored isn't acknowledged, and comes when the disk has room."""
        self.was_there(self.bob)
        self.alice.start()
        self.say(self.alice, self.bob, "hi")
        self.internet.run(5)
        self.bob.start()
        self.bob.store.is_full = True
        self.internet.run(40)
        self.assertEqual(self.bob.box.acknowledged, [])
        self.bob.store.is_full = False
        self.internet.run(10)
        self.bob.mail()
        self.internet.run(5)
        self.assertEqual((self.bob.texts(), len(self.bob.box.acknowledged)), (["hi"], 1))

    def test_receipt_not_noted(self) -> None:
        """Nothing is acknowledged before the disk has that its author is owed a receipt."""
        self.bob.profile.secrets = secrets = SlowSecrets()
        self.bob.knows(self.alice)
        self.was_there(self.bob)
        self.alice.start()
        self.say(self.alice, self.bob, "hi")
        self.internet.run(5)
        secrets.is_slow = True
        self.bob.start()
        self.internet.run(5)
        self.assertEqual((self.bob.texts(), self.bob.box.acknowledged), (["hi"], []))
        secrets.finish()
        self.internet.run(1)
        self.assertEqual(len(self.bob.box.acknowledged), 1)

    def test_lost(self) -> None:
        """Where the registry has forgotten all, keys and tokens are shown again."""
        self.was_there(self.bob)
        self.mailboxes.boxes.clear()
        self.was_there(self.bob)
        self.assertEqual(len(self.bob.box.tokens), 1)
        self.assertIsNotNone(self.bob.box.prekeys)

    def test_expired(self) -> None:
        """Lines that nobody fetched in 14 days are left again, when their author is there."""
        self.was_there(self.bob)
        self.alice.start()
        self.say(self.alice, self.bob, "hi")
        self.internet.run(5)
        self.alice.stop()
        self.bob.box.envelopes.clear()
        self.internet.run(KEPT)
        self.alice.start()
        self.internet.run(5)
        self.assertEqual(len(self.bob.box.envelopes), 1)
        self.bob.start()
        self.internet.run(5)
        self.assertEqual(self.bob.texts(), ["hi"])


class LyingRegistryTests(MailCase):
    """A registry that does what it wants with envelopes."""

    def leave(self, *lines: str) -> None:
        """Let Alice leave lines, and leave."""
        self.was_there(self.bob)
        self.alice.start()
        self.say(self.alice, self.bob, *lines)
        self.internet.run(5)
        self.alice.stop()

    def again(self, envelope: bytes, name: bytes = b"") -> None:
        """Let an envelope stand in Bob's mailbox, where no acknowledgement deletes it."""
        name = name or bytes([len(self.bob.box.envelopes)]) * 16
        (token,) = self.bob.box.tokens
        self.bob.box.envelopes[name] = (envelope, token, self.mailboxes.now() + KEPT)

    def test_returns_old_ones(self) -> None:
        """What was taken comes again, and again: it is shown once."""
        self.leave("hi")
        self.bob.start()
        self.internet.run(5)
        for _ in range(3):
            self.again(self.mailboxes.seen[0])
        self.bob.mail()
        self.internet.run(20)
        self.assertEqual(self.bob.texts(), ["hi"])

    def test_never_deletes(self) -> None:
        """It always has more: that costs a bounded number of requests for each event."""
        self.leave("hi")
        self.bob.start()
        self.internet.run(5)
        before = self.mailboxes.fetches
        self.again(self.mailboxes.seen[0])
        self.bob.mail()
        self.internet.run(60)
        self.assertGreater(self.mailboxes.fetches - before, 1)
        self.assertLess(self.mailboxes.fetches - before, 70)

    def test_drops(self) -> None:
        """It drops one of two: what follows a gap isn't shown, and all is left again."""
        self.mailboxes.most = 10**9
        self.leave(*(f"{number} ".ljust(20_000, "x") for number in range(4)))
        names = list(self.bob.box.envelopes)
        self.assertGreater(len(names), 1)
        del self.bob.box.envelopes[names[0]]
        self.bob.start()
        self.internet.run(10)
        self.assertEqual(self.bob.texts(), [])
        self.bob.stop()
        self.alice.start()  # he has asked for them again
        self.internet.run(30)
        self.alice.stop()
        self.bob.start()
        self.internet.run(10)
        self.assertEqual(len(self.bob.texts()), 4)

    def test_same_one_time_key(self) -> None:
        """It hands one out twice: the second envelope doesn't open, and costs its lines a wait."""
        self.mailboxes.gives_same = True
        self.leave("one")
        self.bob.start()
        self.internet.run(5)
        self.bob.stop()
        self.alice.start()
        self.internet.run(5)
        self.say(self.alice, self.bob, "two")
        self.internet.run(20)
        self.bob.start()
        self.internet.run(5)
        self.assertEqual(self.bob.texts(), ["one"])
        self.assertEqual(self.bob.box.envelopes, {})
        self.mailboxes.gives_same, self.bob.box.given = False, 1
        self.bob.stop()
        self.alice.stop()
        self.internet.run(KEPT)
        self.alice.start()
        self.internet.run(5)
        self.bob.start()
        self.internet.run(5)
        self.assertEqual(self.bob.texts(), ["one", "two"])

    def test_garbage(self) -> None:
        """What opens with no key of ours is thrown away."""
        self.leave("hi")
        self.again(b"x" * 2000, envelope_name(b"x" * 2000))
        self.bob.start()
        self.internet.run(5)
        self.assertEqual((self.bob.texts(), self.bob.box.envelopes), (["hi"], {}))
        (trouble,) = self.bob.events(events.Trouble)
        self.assertIn("can't be opened", trouble.reason)


class KeyTests(MailCase):
    """Private keys are here as long as they are needed, and gone then."""

    def secrets(self, kind: str) -> int:
        """Return how many Bob keeps."""
        return len(self.successResultOf(self.bob.profile.secrets.all(kind)))

    def test_used(self) -> None:
        """A one-time key is gone when its envelope was stored."""
        self.was_there(self.bob)
        before = self.secrets(ONE_TIMES)
        self.alice.start()
        self.say(self.alice, self.bob, "hi")
        self.internet.run(5)
        self.bob.start()
        self.internet.run(5)
        self.assertEqual(self.secrets(ONE_TIMES), before - 1)

    def test_rotation(self) -> None:
        """A prekey is shown for a week; 14 days later it is gone."""
        self.was_there(self.bob)
        first = self.bob.box.prekeys
        self.internet.run(7 * DAY)
        self.was_there(self.bob)
        self.assertNotEqual(self.bob.box.prekeys, first)
        self.assertEqual(self.secrets(PREKEYS), 2)
        self.internet.run(14 * DAY)
        self.was_there(self.bob)
        self.assertEqual(self.secrets(PREKEYS), 2)

    def test_month(self) -> None:
        """Who comes back after a month opens what was left last, and shows another key."""
        self.was_there(self.bob)
        first = self.bob.box.prekeys
        self.internet.run(30 * DAY)
        self.alice.start()
        self.say(self.alice, self.bob, "hi")
        self.internet.run(5)
        self.bob.start()
        self.internet.run(5)
        self.assertEqual(self.bob.texts(), ["hi"])
        self.assertNotEqual(self.bob.box.prekeys, first)

    def test_wrong_clock(self) -> None:
        """A machine whose clock is a year ahead opens what waits, and so does it afterwards."""
        self.was_there(self.bob)
        self.alice.start()
        self.say(self.alice, self.bob, "hi")
        self.internet.run(5)
        self.bob.clock_error = 365 * DAY
        self.was_there(self.bob)
        self.assertEqual(self.bob.texts(), ["hi"])
        self.bob.clock_error = 0.0
        self.say(self.alice, self.bob, "again")
        self.internet.run(60)
        self.bob.start()
        self.internet.run(5)
        self.assertEqual(self.bob.texts(), ["hi", "again"])


class FakeTests(MailCase):
    """The fake of these tests."""

    def test_interface(self) -> None:
        """It is a mailbox."""
        verifyObject(IMailbox, FakeMailbox(self.mailboxes, ALICE.peer_id))
        self.assertEqual(len(TOKENS), 2)
