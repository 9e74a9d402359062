"""
Our mailbox, at each registry that has one: keys and tokens shown there, and mail taken from there.

::

    registered, or the event "mail", or every LOOK_INTERVAL
        ─▶ prekeys and tokens shown, if the registry lacks them
        ─▶ fetch ─▶ opened ─▶ conversation ─▶ stored ─▶ keys deleted ─▶ acknowledged ─▶ fetch ...

An envelope is acknowledged, and with that deleted at the registry, only when what is in it is
stored: so one is taken at least once, and what it has is shown once.  One that can't be opened, or
of somebody who is no contact, is acknowledged too: it would never become better.

A registry that always has more costs MAX_ROUNDS requests for each time that it says so, and no
sooner than PAUSE after the last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from p2pchat.errors import RegistryError, RemoteProtocolError, StorageFailed
from p2pchat.identity.envelopes import OpenedEnvelope, open_envelope
from p2pchat.identity.prekey_ring import ONE_TIMES, PREKEYS, Change, PrekeyRing
from p2pchat.identity.prekeys import key_id
from p2pchat.interfaces import IMailbox, ISecretStore
from p2pchat.peer.mail_tokens import MailTokens
from p2pchat.peer.signaling import SignalingGroup
from p2pchat.wire.mailbox import MailboxState, Prekeys, envelope_name
from p2pchat.wire.origins import origin

NO_MAILBOX = "no-mailbox"  # the reason of a registry that has none of ours
SHOWN = "mail-shown"  # a kind of secrets: by registry, the id of the prekey that it has of us
FEWEST = 20  # one-time keys; when a registry has fewer it gets others
REPLENISH = 600.0  # seconds from one document to the next, but for another prekey
LOOK_INTERVAL = 1800.0  # seconds; prekeys become old, and an event may be lost
MAX_ROUNDS = 64  # fetches in a row; a full mailbox has 16
PAUSE = 1.0  # seconds after them
PATIENCE = 30.0  # seconds for a disk to store; then it is fetched again, later

_log = Logger()

IsStored = Callable[[], bool]

_UNOPENED = (
    "something that was left for you at {} can't be opened: its key is gone, or it was changed; "
    "whoever left it sends it again when you are both there, or when it has expired"
)


@attrs.define(eq=False)
class _Storing:
    """Envelopes of one answer whose contents are on their way to the disk."""

    waiting: list[IsStored] = attrs.Factory(list)
    done: Deferred[None] = attrs.Factory(Deferred)

    def look(self) -> None:
        """Forget what is stored; if that is all, say so."""
        self.waiting = [one for one in self.waiting if not one()]
        if not self.waiting and not self.done.called:
            self.done.callback(None)


@attrs.define(eq=False)
class OwnMailbox:
    """
    The mailboxes of one node.

    :ivar clocks: by which others go, and all of them; each gives seconds since 1970.
    :ivar take: takes an envelope; returns what tells whether it is stored, None: it isn't wanted.
    :ivar served: called when a registry has what others need to leave something there.
    :ivar tell: takes a sentence for the person.
    """

    _peer_id: str
    _ring: PrekeyRing
    _secrets: ISecretStore
    _tokens: MailTokens
    _signaling: SignalingGroup
    _clock: IReactorTime
    clocks: tuple[Callable[[], float], ...]
    take: Callable[[OpenedEnvelope], IsStored | None]
    served: Callable[[], None]
    tell: Callable[[str], None]
    _has_warned: bool = False  # that something couldn't be opened
    _shown: dict[str, bytes] = attrs.Factory(dict)
    _shown_at: dict[str, float] = attrs.Factory(dict)  # in this run
    _allowed: dict[str, list[bytes]] = attrs.Factory(dict)  # in this run
    _busy: set[str] = attrs.Factory(set)
    _again: set[str] = attrs.Factory(set)
    _looked_at: dict[str, float] = attrs.Factory(dict)
    _storing: list[_Storing] = attrs.Factory(list)
    _is_stopped: bool = False

    @inlineCallbacks
    def load(self) -> Any:
        """
        Read what is kept.

        It fails with :class:`p2pchat.errors.ConfigurationError` where that is damaged.
        """
        prekeys = yield self._secrets.all(PREKEYS)
        one_time = yield self._secrets.all(ONE_TIMES)
        self._ring.restore(prekeys, one_time)
        self._shown.update((yield self._secrets.all(SHOWN)))

    def stop(self) -> None:
        """Ask nothing any more."""
        self._is_stopped = True
        for one in self._storing:
            if not one.done.called:
                one.done.callback(None)

    @property
    def registries(self) -> tuple[str, ...]:
        """The URLs of those that have a mailbox of ours, or will in a moment."""
        known = {*self._shown, *self._looked_at}
        return tuple(one for one in self._signaling.servers if one in known)

    @property
    def serving(self) -> frozenset[str]:
        """The URLs of those that know, in this run, who may leave something for us."""
        return frozenset(one for one, hashes in self._allowed.items() if hashes)

    # -- when

    def look(self) -> None:
        """Look at what is due; called at a rhythm."""
        now = self._clock.seconds()
        for server, since in list(self._looked_at.items()):
            if now >= since + LOOK_INTERVAL and server in self._signaling.servers:
                self.serve(server)

    def tokens_changed(self) -> None:
        """Say at once who may leave something, wherever that differs."""
        for server in [one for one in self._looked_at if one in self._signaling.servers]:
            if self._allowed.get(server) != self._tokens.hashes(origin(server)):
                self.serve(server)

    def serve(self, server: str) -> None:
        """Show what a registry lacks, and take what waits there."""
        if self._is_stopped:
            return
        self._looked_at[server] = self._clock.seconds()
        if server in self._busy:
            self._again.add(server)
            return
        self._busy.add(server)
        served: Deferred[Any] = self._serve(server)
        served.addErrback(self._not_served, server)
        served.addCallback(lambda _: deferLater(self._clock, PAUSE))
        served.addCallback(lambda _: self._had_its_turn(server))

    def _had_its_turn(self, server: str) -> None:
        self._busy.discard(server)
        if server in self._again:
            self._again.discard(server)
            self.serve(server)

    def _not_served(self, failure: Any, server: str) -> None:
        """Leave it for later: the registry is away, or the disk full."""
        if failure.check(RegistryError, StorageFailed) is None:
            _log.failure("the mailbox at {server} can't be used", failure, server=server)

    def give_up(self, server: str) -> None:
        """Let nobody leave anything at a registry any more: our person wants no mailbox."""
        mailbox = self._signaling.registry_at(server).mailbox
        if server in self._shown and mailbox is not None:
            given_up: Deferred[Any] = mailbox.allow([])
            given_up.addCallback(lambda _: self._secrets.delete(SHOWN, [server]))
            given_up.addErrback(self._not_served, server)

    # -- what a registry is shown

    @inlineCallbacks
    def _serve(self, server: str) -> Any:
        mailbox = self._signaling.registry_at(server).mailbox
        hashes = self._tokens.hashes(origin(server))
        if mailbox is None or not (hashes or server in self._shown):
            return  # nobody could leave anything there
        yield self._change(self._ring.turn(self.clocks[0](), min(one() for one in self.clocks)))
        yield self._allow(server, mailbox, hashes)
        for _ in range(MAX_ROUNDS):
            mail = yield mailbox.fetch()
            if not mail.envelopes or self._is_stopped:
                return
            names = yield self._take_all(server, mail.envelopes)
            if not names:
                return
            yield mailbox.acknowledge(names)

    @inlineCallbacks
    def _allow(self, server: str, mailbox: IMailbox, hashes: list[bytes]) -> Any:
        """Show keys, which make a mailbox, where they are new there or given out; and tokens."""
        is_new = self._shown.get(server) != key_id(self._ring.public)
        if is_new:
            yield self._show(server, mailbox)
        try:
            state: MailboxState = yield mailbox.allow(hashes)
        except RegistryError as error:
            if error.reason != NO_MAILBOX:
                raise
            yield self._show(server, mailbox)  # it has lost ours
            state = yield mailbox.allow(hashes)
        self._allowed[server] = hashes
        may_replenish = self._clock.seconds() >= self._shown_at.get(server, -REPLENISH) + REPLENISH
        if state.one_time < FEWEST and may_replenish:
            yield self._show(server, mailbox)
        if is_new:
            self.served()

    @inlineCallbacks
    def _show(self, server: str, mailbox: IMailbox) -> Any:
        one_time, changes = self._ring.new_one_time()
        yield self._change(changes)
        yield mailbox.publish(Prekeys.of(self._ring.public, one_time, self._ring.ends_at))
        self._shown_at[server] = self._clock.seconds()
        name = key_id(self._ring.public)
        if self._shown.get(server) != name:
            self._shown[server] = name
            yield self._secrets.put(SHOWN, server, name)

    @inlineCallbacks
    def _change(self, changes: Sequence[Change]) -> Any:
        """Keep and forget keys; none is shown before it is kept."""
        done = [self._secrets.put(one.kind, one.name, one.value) for one in changes if one.value]
        for kind in (PREKEYS, ONE_TIMES):
            gone = [one.name for one in changes if one.kind == kind and one.value is None]
            if gone:
                done.append(self._secrets.delete(kind, gone))
        yield DeferredList(done, fireOnOneErrback=True, consumeErrors=True)

    # -- what waits there

    @inlineCallbacks
    def _take_all(self, server: str, envelopes: Sequence[bytes]) -> Any:
        """Take envelopes; a Deferred of the names of those that may be deleted."""
        storing, one_time = _Storing(), []
        for envelope in envelopes:
            opened = self._open(server, envelope)
            is_stored = None if opened is None else self.take(opened)
            if is_stored is not None and opened is not None:
                storing.waiting.append(is_stored)
                one_time.append(opened.one_time)
            yield deferLater(self._clock, 0)  # others have their turn between two
        self._storing.append(storing)
        storing.look()
        yield storing.done.addTimeout(PATIENCE, self._clock, lambda *_: None)
        self._storing.remove(storing)
        if storing.waiting:
            return []  # all of it once more, when the disk works: what is stored counts once
        for one in one_time:
            yield self._change(self._ring.used(one))
        return [envelope_name(one) for one in envelopes]

    def _open(self, server: str, envelope: bytes) -> OpenedEnvelope | None:
        try:
            return open_envelope(envelope, self._peer_id, self._ring.prekey, self._ring.one_time)
        except RemoteProtocolError:
            if not self._has_warned:
                self._has_warned = True
                self.tell(_UNOPENED.format(server))
            return None

    def stored(self) -> None:
        """Something was stored: perhaps all that is waited for."""
        for one in self._storing:
            one.look()
