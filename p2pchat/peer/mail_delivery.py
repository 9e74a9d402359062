"""
Delivery by mailbox: what waits for contacts who are away is left at one of their registries.

::

    away, and lines wait, or a receipt is owed
        ─▶ GATHER, or the next time in the rhythm ─▶ plan ─▶ keys ─▶ sealed ─▶ left ─▶ told
                          ▲                                     └─ refused: told once ─┐
                          └───────────────── later, or with another token ─────────────┘

What doesn't go waits here, and goes over the next link: nothing depends on a mailbox.  Deposits to
one contact come one after the other, the first at once and the next ones less and less often, since
each takes a one-time key and what is said meanwhile is then one envelope; MAX_AT_ONCE in all.

A mailbox learns that somebody whom its owner knows left something, from which address, and when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from p2pchat import events
from p2pchat.errors import RegistryError, RemoteProtocolError, StorageFailed
from p2pchat.identity.envelopes import seal_envelope
from p2pchat.identity.keys import Identity
from p2pchat.interfaces import ISecretStore
from p2pchat.peer.mail_tokens import MailTokens
from p2pchat.peer.registry_mailbox import NO_PREKEY, DepositKeys
from p2pchat.peer.signaling import SignalingGroup
from p2pchat.session.deposits import Deposit, DepositPlan, Deposits, KeptDeposits
from p2pchat.session.endpoint import Endpoint
from p2pchat.session.mail import MailedConversation, MailTaken
from p2pchat.wire.strict_json import dumps, loads

WAITING = "mail-waiting"  # a kind of secrets: by contact, what waits for it
GATHER = 1.0  # seconds for which lines are gathered before the first deposit
RHYTHM, LONGEST = 15.0, 300.0  # seconds between deposits to one contact; twice each time
MAX_AT_ONCE = 4  # deposits under way
RETRY, LONGEST_RETRY = 30.0, 1800.0  # seconds after one that failed for the moment; twice each time
HOUR = 3600.0  # seconds after one that will fail for a while
LAST = 1.2  # seconds for what is left when the program ends

TOO_LONG = "the next message has more than an envelope has room for"
UNKNOWN = "unknown-mailbox"  # the token isn't good: a new one comes on the next link
# Reasons of a registry that hold for a while; all others are of the moment.
_FOR_A_WHILE = frozenset({NO_PREKEY, "token-full", "mailbox-full"})

_log = Logger()


@attrs.define(eq=False)
class _PeerMail:
    """Mail for one contact, as far as it is known."""

    deposits: Deposits = attrs.Factory(Deposits)
    due: float = 0.0  # when to leave something, at the earliest
    interval: float = RHYTHM
    retry: float = RETRY
    announced: str = ""  # why nothing could be left: the last reason that was told
    is_busy: bool = False
    is_away: bool = False  # looked for, and not there


@attrs.define(eq=False)
class MailDelivery:
    """
    The deliveries of one node.

    :ivar tell: takes each event.
    :ivar hides_from: tells whether a contact is to learn no address of ours: then no registry is
        used that it alone names.
    """

    _identity: Identity
    _endpoint: Endpoint
    _signaling: SignalingGroup
    _secrets: ISecretStore
    _tokens: MailTokens
    _clock: IReactorTime
    tell: Callable[[events.NodeEvent], None]
    hides_from: Callable[[str], bool]
    _by_peer: dict[str, _PeerMail] = attrs.Factory(dict)

    @inlineCallbacks
    def load(self) -> Any:
        """Read what is kept; what can't be understood is left again."""
        kept: dict[str, bytes] = yield self._secrets.all(WAITING)
        for peer_id, value in kept.items():
            try:
                found = KeptDeposits.from_json(loads(value))
            except RemoteProtocolError:
                continue
            deposits = Deposits(list(found.deposits), found.owes_receipt)
            self._by_peer[peer_id] = _PeerMail(deposits, is_away=found.owes_receipt)

    # -- what happens

    def away(self, peer_id: str) -> None:
        """A contact for whom lines wait was looked for, and isn't there."""
        one = self._of(peer_id)
        if not one.is_away:
            one.is_away, one.due = True, max(one.due, self._clock.seconds() + GATHER)

    def connected(self, peer_id: str) -> None:
        """There is a link, which carries receipts, too."""
        one = self._by_peer.get(peer_id)
        if one is None:  # strangers come and go, and leave nothing here
            return
        one.is_away, one.interval, one.retry, one.announced = False, RHYTHM, RETRY, ""
        one.due = 0.0
        if one.deposits.owes_receipt:
            one.deposits.owes_receipt = False
            self._keep(peer_id)

    def place_changed(self, peer_id: str) -> None:
        """A contact has said where things may be left for it: try again."""
        one = self._of(peer_id)
        one.due, one.retry, one.announced = 0.0, RETRY, ""

    def taken(self, peer_id: str, taken: MailTaken) -> Deferred[None]:
        """
        Something of a contact was taken out of our mailbox.

        A Deferred fires when it is written down that a receipt is owed: before, whoever is killed
        would never send one.
        """
        one = self._of(peer_id)
        if taken.is_asked:
            one.deposits.lost()
        if taken.has_lines and not self._is_linked(peer_id):
            one.deposits.owes_receipt, one.deposits.asks_for = True, taken.gap
            one.is_away = True
            one.due, one.interval = self._clock.seconds() + GATHER, RHYTHM
            return self._keep(peer_id)
        return succeed(None)

    def dropped(self, peer_id: str) -> None:
        """Nothing is left any more for one who is no contact, or blocked."""
        if self._tokens.place(peer_id) is None and self._by_peer.pop(peer_id, None) is not None:
            self._secrets.delete(WAITING, [peer_id]).addErrback(_not_kept)

    def until(self, peer_id: str, log: bytes, number: int) -> float | None:
        """Return how long a line is kept that waits in a mailbox, ``None`` where it doesn't."""
        one = self._by_peer.get(peer_id)
        now = self._signaling.now()
        found = None if one is None else one.deposits.until(log, number)
        return found if found is not None and found > now else None

    # -- when

    def look(self, waiting: Iterable[str]) -> None:
        """Leave what it is time for; called at a rhythm, with those for whom lines wait."""
        now = self._clock.seconds()
        for peer_id in self._wanted(waiting):
            if sum(one.is_busy for one in self._by_peer.values()) >= MAX_AT_ONCE:
                return
            one = self._of(peer_id)
            if one.is_away and not one.is_busy and now >= one.due:
                self._deliver(peer_id, one)

    def leave_all(self, waiting: Iterable[str]) -> Deferred[Any]:
        """Leave at once what isn't left yet: the program ends."""
        last = [
            self._deliver(peer_id, one)
            for peer_id in self._wanted(waiting)[:MAX_AT_ONCE]
            if not (one := self._of(peer_id)).is_busy
        ]
        done: Deferred[Any] = DeferredList(last, consumeErrors=True)
        return done.addTimeout(LAST, self._clock, lambda *_: None)

    def _wanted(self, waiting: Iterable[str]) -> list[str]:
        """Return for whom lines wait, or to whom a receipt is owed."""
        owed = [one for one, known in self._by_peer.items() if known.deposits.owes_receipt]
        return list(dict.fromkeys([*waiting, *owed]))

    def _of(self, peer_id: str) -> _PeerMail:
        return self._by_peer.setdefault(peer_id, _PeerMail())

    def _is_linked(self, peer_id: str) -> bool:
        session = self._endpoint.sessions.get(peer_id)
        return session is not None and session.is_open

    # -- one envelope

    def _deliver(self, peer_id: str, one: _PeerMail) -> Deferred[Any]:
        one.is_busy = True
        done: Deferred[Any] = self._leave(peer_id, one)
        done.addErrback(lambda failure: _log.failure("leaving mail", failure))
        return done.addBoth(lambda _: setattr(one, "is_busy", False))

    @inlineCallbacks
    def _leave(self, peer_id: str, one: _PeerMail) -> Any:
        """Leave one envelope, if there is something to be left, and somewhere to leave it."""
        place, now = self._tokens.place(peer_id), self._clock.seconds()
        servers = [] if place is None else self._usable(peer_id, place.registries)
        if place is None or not servers or self._is_linked(peer_id):
            one.due = now + RETRY
            return
        talk = self._endpoint.ensure_session(peer_id).conversation
        plan = one.deposits.plan(talk, self._signaling.now())
        if plan is None:
            one.due = now + GATHER
            if one.deposits.is_wanted(talk, self._signaling.now()):
                self._tell_once(peer_id, one, "too-long", TOO_LONG)
            return
        refusals = []
        for server in servers:
            try:
                deposit = yield self._leave_at(server, peer_id, place.token, plan)
            except RegistryError as error:
                refusals.append(error)
                continue
            self._left(peer_id, one, talk, plan, deposit)
            return
        one.deposits.failed(plan)
        self._refused(peer_id, one, refusals[0])

    def _usable(self, peer_id: str, servers: Sequence[str]) -> list[str]:
        ours = self._signaling.servers
        return [one for one in servers if one in ours or not self.hides_from(peer_id)]

    @inlineCallbacks
    def _leave_at(self, server: str, peer_id: str, token: bytes, plan: DepositPlan) -> Any:
        mailbox = self._signaling.registry_at(server).mailbox
        if mailbox is None:
            raise RegistryError(f"{server} has no mailboxes", reason=UNKNOWN)
        before, contents = plan.replaces, plan.contents
        is_there = before is not None and before.server == server
        name, until = yield mailbox.deposit(
            *(peer_id, token, partial(self._seal, peer_id, plan)),
            before.name if before is not None and is_there else "",
        )
        size = len(contents.frames)
        return Deposit(server, name, contents.log, contents.first, contents.last, size, until)

    def _seal(self, peer_id: str, plan: DepositPlan, keys: DepositKeys) -> bytes:
        """Seal an envelope, which goes out now."""
        self._endpoint.ensure_session(peer_id).conversation.mailed(plan.contents)
        frames = plan.contents.frames
        try:
            return seal_envelope(self._identity, peer_id, frames, keys.prekey, keys.one_time)
        except RemoteProtocolError as error:
            raise RegistryError(f"their prekeys: {error}", reason=NO_PREKEY) from None

    def _left(
        self,
        peer_id: str,
        one: _PeerMail,
        talk: MailedConversation,
        plan: DepositPlan,
        deposit: Deposit,
    ) -> None:
        one.deposits.left(plan, deposit)
        one.announced, one.retry = "", RETRY
        is_more = one.deposits.is_wanted(talk, self._signaling.now())
        one.due = self._clock.seconds() + (0.0 if is_more else one.interval)
        if not is_more:
            one.interval = min(2 * one.interval, LONGEST)
        self._keep(peer_id)
        count = deposit.last - deposit.first + 1
        if count:
            last = f"{deposit.log.hex()}-{deposit.last}"
            self.tell(events.Mailed(peer_id, "", count, last, deposit.until, deposit.server))

    def _refused(self, peer_id: str, one: _PeerMail, error: RegistryError) -> None:
        """Wait, for as long as it makes sense; the person is told once why."""
        wait = HOUR
        if error.reason not in _FOR_A_WHILE:
            wait, one.retry = one.retry, min(2 * one.retry, LONGEST_RETRY)
        one.due = self._clock.seconds() + max(wait, error.retry_after or 0.0)
        self._tell_once(peer_id, one, error.reason, str(error))

    def _tell_once(self, peer_id: str, one: _PeerMail, reason: str, explanation: str) -> None:
        if reason != one.announced:
            one.announced = reason
            self.tell(events.NotMailed(peer_id, "", reason, explanation))

    def _keep(self, peer_id: str) -> Deferred[None]:
        deposits = self._of(peer_id).deposits
        kept = KeptDeposits(tuple(deposits.waiting), deposits.owes_receipt)
        value = dumps(kept.to_json())
        return self._secrets.put(WAITING, peer_id, value).addErrback(_not_kept)


def _not_kept(failure: Any) -> None:
    """Log that it can't be kept: it is left again, and taken once."""
    failure.trap(StorageFailed)
    _log.warn("where lines wait can't be kept: {error}", error=failure.value)
