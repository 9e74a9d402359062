"""Envelopes that wait: where each begins, which is replaced, and when all begins anew."""

from __future__ import annotations

from p2pchat.session.deposits import FULL, Deposit, DepositPlan, Deposits, KeptDeposits
from tests.session.mailing import UNTIL
from tests.session.recovering import WALL
from tests.session.test_mail import MailCase


class DepositTests(MailCase):
    """What Alice leaves for Bob."""

    def setUp(self) -> None:
        super().setUp()
        self.deposits = Deposits()

    def plan(self, now: float = WALL) -> DepositPlan:
        """Return what is to be left next."""
        plan = self.deposits.plan(self.alice.talk, now)
        assert plan is not None
        return plan

    def leave(self, name: str, size: int = 1000, until: float = UNTIL) -> DepositPlan:
        """Leave it."""
        plan = self.plan()
        contents = plan.contents
        place = ("https://registry.example", name, contents.log)
        deposit = Deposit(*place, contents.first, contents.last, size, until)
        self.deposits.left(plan, deposit)
        return plan

    def test_nothing(self) -> None:
        """Where nothing was said there is nothing to leave."""
        self.assertIsNone(self.deposits.plan(self.alice.talk, WALL))
        self.assertFalse(self.deposits.is_wanted(self.alice.talk, WALL))

    def test_grows(self) -> None:
        """The last one is replaced by a longer one, with all of it, while it has room."""
        self.say(self.alice, "one")
        self.assertIsNone(self.leave("a").replaces)
        self.assertIsNone(self.deposits.plan(self.alice.talk, WALL))
        self.say(self.alice, "two")
        plan = self.leave("b", FULL)
        self.assertEqual(getattr(plan.replaces, "name", ""), "a")
        self.assertEqual((plan.contents.first, plan.contents.last), (1, 2))
        self.say(self.alice, "three")
        plan = self.leave("c")
        self.assertIsNone(plan.replaces)
        self.assertEqual((plan.contents.first, plan.contents.last), (3, 3))
        self.assertEqual([one.name for one in self.deposits.waiting], ["b", "c"])

    def test_until(self) -> None:
        """A line is kept as long as the envelope that it is in; others aren't there."""
        self.say(self.alice, "one")
        self.leave("a")
        log = self.alice.talk.log
        self.assertEqual(self.deposits.until(log, 1), UNTIL)
        self.assertIsNone(self.deposits.until(log, 2))
        self.assertIsNone(self.deposits.until(bytes(16), 1))

    def test_expired(self) -> None:
        """When the first one has expired all is left again, from the oldest line on."""
        self.say(self.alice, "one")
        self.leave("a", FULL, until=WALL + 10)
        self.say(self.alice, "two")
        self.leave("b", FULL)
        plan = self.plan(WALL + 10)
        self.assertEqual((plan.contents.first, plan.contents.last, plan.replaces), (1, 2, None))

    def test_receipt(self) -> None:
        """A receipt alone is an envelope, which the next line replaces."""
        self.deposits.owes_receipt = True
        plan = self.leave("a")
        self.assertGreater(plan.contents.first, plan.contents.last)
        self.assertIsNone(self.deposits.plan(self.alice.talk, WALL))
        self.say(self.alice, "one")
        self.assertEqual(getattr(self.plan().replaces, "name", ""), "a")

    def test_receipt_with_lines(self) -> None:
        """A receipt goes with the lines that wait already."""
        self.say(self.alice, "one")
        self.leave("a")
        self.deposits.owes_receipt = True
        plan = self.leave("b")
        self.assertEqual(getattr(plan.replaces, "name", ""), "a")
        self.assertEqual((plan.contents.first, plan.contents.last), (1, 1))

    def test_failed(self) -> None:
        """What couldn't be left is still to be, the receipt with it."""
        self.deposits.owes_receipt = True
        self.deposits.failed(self.plan())
        self.assertTrue(self.deposits.owes_receipt)
        self.assertTrue(self.deposits.is_wanted(self.alice.talk, WALL))

    def test_kept(self) -> None:
        """What is kept is read again."""
        self.say(self.alice, "one")
        self.leave("a")
        kept = KeptDeposits(tuple(self.deposits.waiting), True)
        self.assertEqual(KeptDeposits.from_json(kept.to_json()), kept)
