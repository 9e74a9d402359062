"""
Envelopes of ours that wait for one peer in a mailbox, and what is to go there next.

::

    lines wait, or a receipt is owed ─▶ plan ─▶ DepositPlan ─▶ sealed and left ─▶ left
                                         ▲                                 │
                                         └────── confirmed, expired ◀──────┘

Each begins where the one before ends, and the first with the oldest line that isn't confirmed; so
that what the other side finds is whole, in whatever order.  The last one is replaced while it has
room: single lines become a batch, at the price of one envelope.  Where one in the middle has
expired, or was said to be gone, all begins anew: what is there twice is taken once.
"""

from __future__ import annotations

from typing import Annotated

import attrs

from p2pchat.session.mail import MailContents, MailedConversation
from p2pchat.wire.members import Count, Flag, Members, Time, each, nested, octets, text

FULL = 48 * 1024  # bytes of an envelope that is let alone, rather than replaced by a longer one
MAX_DEPOSITS = 16  # of one peer; a registry keeps 256 KiB, and so no more that are full
MAX_NAME = 128  # characters of an envelope's name


@attrs.frozen
class Deposit(Members):
    """
    One envelope that waits.

    :ivar server: the registry's URL.
    :ivar name: what the registry calls it.
    :ivar log: of ours.
    :ivar first: number of its first line; one more than ``last`` where it has none.
    :ivar size: bytes of its frames.
    :ivar until: seconds since 1970, by the registry's clock: how long it is kept.
    """

    server: Annotated[str, text(512)]
    name: Annotated[str, text(MAX_NAME)]
    log: Annotated[bytes, octets(16)]
    first: Count
    last: Count
    size: Count
    until: Time


@attrs.frozen
class KeptDeposits(Members):
    """Deposits as they are kept over restarts."""

    deposits: Annotated[tuple[Deposit, ...], each(nested(Deposit), MAX_DEPOSITS)] = ()
    owes_receipt: Flag = False


@attrs.frozen
class DepositPlan:
    """
    An envelope that is to be left.

    :ivar replaces: the one in whose place it comes.
    :ivar is_receipt: whether it is owed.
    """

    contents: MailContents
    replaces: Deposit | None = None
    is_receipt: bool = False


@attrs.define(eq=False)
class Deposits:
    """
    Those for one peer.

    :ivar waiting: oldest first.
    :ivar owes_receipt: lines of theirs came by mail, and nothing has told them so yet.
    :ivar asks_for: a log of theirs of which some were missing, b"" for none.
    """

    waiting: list[Deposit] = attrs.Factory(list)
    owes_receipt: bool = False
    asks_for: bytes = b""

    def settle(self, talk: MailedConversation, now: float) -> None:
        """Forget what is confirmed, has expired, or is of a log that isn't written any more."""
        lines = talk.waiting_lines
        oldest = lines.start if lines else 0
        kept = [one for one in self.waiting if one.log == talk.log and one.until > now]
        if lines:
            kept = [one for one in kept if one.last >= oldest or one.first > one.last]
        else:
            kept = [one for one in kept if one.first > one.last]
        self.waiting = kept

    def is_wanted(self, talk: MailedConversation, now: float) -> bool:
        """Tell whether something is to be left that isn't there yet."""
        self.settle(talk, now)
        lines = talk.waiting_lines
        return self.owes_receipt or (bool(lines) and self._reached(lines.start) < lines.stop - 1)

    def _reached(self, oldest: int) -> int:
        """Return up to which line the envelopes have all, from the oldest one on."""
        reached = oldest - 1
        for one in self.waiting:
            if one.first <= reached + 1:
                reached = max(reached, one.last)
        return reached

    def plan(self, talk: MailedConversation, now: float) -> DepositPlan | None:
        """
        Return what is to be left next; nothing where all is there, or nothing would fit.

        What comes of it is said by :meth:`left` or :meth:`failed`, before the next plan.
        """
        if not self.is_wanted(talk, now):
            return None
        found = self._next(talk)
        if found is not None:
            self.owes_receipt = False
        return found

    def _next(self, talk: MailedConversation) -> DepositPlan | None:
        lines = talk.waiting_lines
        oldest = lines.start if lines else 0
        reached = self._reached(oldest)
        last = self.waiting[-1] if self.waiting else None
        if last is not None and last.size < FULL and last.last in {reached, oldest - 1}:
            before = max(last.first, oldest) - 1
            contents = talk.mail_after(before, self.asks_for)
            if contents.last > last.last or (self.owes_receipt and contents.last >= reached):
                return DepositPlan(contents, last, self.owes_receipt)
        contents = talk.mail_after(reached, self.asks_for)
        has_lines = contents.last >= contents.first
        is_needed = has_lines or self.owes_receipt
        return DepositPlan(contents, None, self.owes_receipt) if is_needed else None

    def left(self, plan: DepositPlan, deposit: Deposit) -> None:
        """Take that an envelope was left."""
        self.waiting = [one for one in self.waiting if one is not plan.replaces]
        self.waiting = [*self.waiting, deposit][-MAX_DEPOSITS:]
        self.asks_for = self.asks_for if self.owes_receipt else b""

    def failed(self, plan: DepositPlan) -> None:
        """Take that it couldn't be left."""
        self.owes_receipt = self.owes_receipt or plan.is_receipt

    def lost(self) -> None:
        """Begin anew: the registry has forgotten some."""
        self.waiting = []

    def until(self, log: bytes, number: int) -> float | None:
        """Return how long a line is kept that waits in a mailbox, ``None`` where it doesn't."""
        found = [
            one.until for one in self.waiting if one.log == log and one.first <= number <= one.last
        ]
        return max(found, default=None)
