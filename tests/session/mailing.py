"""Two sides that leave envelopes for each other, in a mailbox that may do anything with them."""

from __future__ import annotations

from hashlib import sha256

import attrs

from p2pchat.session.deposits import Deposit, Deposits
from p2pchat.session.mail import MailTaken
from p2pchat.wire.envelopes import decode_contents
from tests.session.recovering import NOW, WALL, Both, Side

UNTIL = WALL + 14 * 86_400.0


@attrs.define(eq=False)
class Mailing:
    """
    Envelopes under way.

    :ivar waiting: in the mailbox of each side: what waits, by name.
    :ivar seen: likewise, all that ever were there: a registry may keep them.
    :ivar known: what each side knows to wait for the other; its disk has it.
    """

    both: Both
    waiting: dict[Side, dict[str, bytes]] = attrs.field(init=False)
    seen: dict[Side, list[bytes]] = attrs.field(init=False)
    known: dict[Side, Deposits] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        sides = (self.both.alice, self.both.bob)
        self.waiting = {side: {} for side in sides}
        self.seen = {side: [] for side in sides}
        self.known = {side: Deposits() for side in sides}

    def leave(self, side: Side, is_refused: bool = False) -> bool:
        """Let one side leave an envelope, if it has something to say; tells whether it did."""
        deposits, reader = self.known[side], self.both.others(side)
        plan = deposits.plan(side.talk, WALL)
        if plan is None:
            return False
        if is_refused:
            deposits.failed(plan)
            return False
        side.talk.mailed(plan.contents)
        if plan.replaces is not None:
            self.waiting[reader].pop(plan.replaces.name, None)
        name = sha256(b"%d" % len(self.seen[reader])).hexdigest()
        self.waiting[reader][name] = plan.contents.frames
        self.seen[reader].append(plan.contents.frames)
        contents = plan.contents
        size = len(contents.frames)
        place = ("https://registry.example", name, contents.log)
        deposits.left(plan, Deposit(*place, contents.first, contents.last, size, UNTIL))
        return True

    def take(self, side: Side, frames: bytes) -> MailTaken:
        """Let one side take an envelope."""
        key = side.other.public_key
        taken = side.talk.take_mail(decode_contents(frames), key, NOW)
        if taken.has_lines:
            self.known[side].owes_receipt = True
            self.known[side].asks_for = taken.gap
        if taken.is_asked:
            self.known[side].lost()
        side.settle()
        return taken

    def fetch(self, side: Side) -> bool:
        """Let one side take all that waits, and its disk work; tells whether there was any."""
        names = list(self.waiting[side])
        for name in names:
            self.take(side, self.waiting[side][name])
        while side.commit():
            pass
        for name in names:
            del self.waiting[side][name]
        return bool(names)

    def finish(self) -> int:
        """Let both leave and fetch until all is quiet; returns how many envelopes there were."""
        before = sum(map(len, self.seen.values()))
        for _ in range(40):
            moved = False
            for side in (self.both.alice, self.both.bob):
                while side.commit():
                    moved = True
                while self.leave(side):
                    moved = True
            for side in (self.both.alice, self.both.bob):
                moved = self.fetch(side) or moved
            if not moved:
                return sum(map(len, self.seen.values())) - before
        raise AssertionError("they never come to an end")
