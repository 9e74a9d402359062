"""
Mail of a node: what waits at registries, of ours for contacts who are away, and theirs for us.

Puts the parts together: :mod:`~p2pchat.peer.mail_tokens` who may leave something for whom,
:mod:`~p2pchat.peer.own_mailbox` what waits for us, :mod:`~p2pchat.peer.mail_delivery` what we
leave.  What is in an envelope, and what is taken of it, is the conversation's matter
(:mod:`p2pchat.session.mail`).

Only a node whose messages outlast it has mail: without a state directory the keys to what waits
would end with the program, and its identity with them.  One that has been told to have none takes
back what it has shown before, at registries and to contacts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.logger import Logger

from p2pchat import events
from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.envelopes import OpenedEnvelope
from p2pchat.identity.prekey_ring import PrekeyRing
from p2pchat.peer.driver import Driver
from p2pchat.peer.mail_delivery import MailDelivery
from p2pchat.peer.mail_tokens import MailTokens
from p2pchat.peer.own_mailbox import IsStored, OwnMailbox
from p2pchat.peer.profile import Profile
from p2pchat.peer.settings import RegistryInfo
from p2pchat.peer.signaling import SignalingGroup
from p2pchat.runtime import Runtime
from p2pchat.session.endpoint import Endpoint
from p2pchat.session.mail import MailTaken
from p2pchat.wire.envelopes import decode_contents
from p2pchat.wire.messages import Mailbox

_log = Logger()


@attrs.define(eq=False)
class NodeMail:
    """
    The mail of one node.

    :ivar tell: takes each event.
    :ivar is_enabled: whether the node has any.
    :ivar relay_only: whether nobody is to learn an address of ours.
    """

    _runtime: Runtime
    _profile: Profile
    _signaling: SignalingGroup
    tell: Callable[[events.NodeEvent], None]
    is_enabled: bool
    relay_only: bool = False
    _waiting: Callable[[], list[str]] = list
    _endpoint: Endpoint = attrs.field(init=False)
    _driver: Driver[Any] = attrs.field(init=False)
    _tokens: MailTokens = attrs.field(init=False)
    _own: OwnMailbox = attrs.field(init=False)
    _delivery: MailDelivery = attrs.field(init=False)
    _is_loaded: bool = False

    def attach(
        self, endpoint: Endpoint, driver: Driver[Any], waiting: Callable[[], list[str]]
    ) -> None:
        """
        Take the node's endpoint; before anything else is done.

        :param waiting: returns for whom lines wait although nothing is under way.
        """
        self._endpoint, self._driver, self._waiting = endpoint, driver, waiting
        runtime, profile, signaling = self._runtime, self._profile, self._signaling
        secrets, clock = profile.secrets, runtime.clock
        self._tokens = MailTokens(secrets, profile.contacts, runtime.random_bytes)
        self._own = OwnMailbox(
            *(profile.identity.peer_id, PrekeyRing(runtime.random_bytes), secrets, self._tokens),
            *(signaling, clock, (signaling.now, runtime.wall_time)),
            *(self._take, endpoint.mailbox_changed),
            lambda sentence: self.tell(events.Trouble(sentence, "mailbox")),
        )
        self._delivery = MailDelivery(
            *(profile.identity, endpoint, signaling, secrets, self._tokens, clock, self.tell),
            lambda peer_id: self.relay_only or profile.contacts[peer_id].is_relayed,
        )

    @inlineCallbacks
    def load(self) -> Any:
        """Read what is kept, once the store has loaded."""
        yield self._own.load()
        if self.is_enabled:
            yield self._tokens.load()
            yield self._delivery.load()
            self._is_loaded = True

    def stop(self) -> Deferred[Any]:
        """Leave what isn't left yet; a Deferred fires when that is done, or had its time."""
        if not self._is_loaded:
            return succeed(None)
        self._own.stop()
        return self._delivery.leave_all(self._waiting())

    def look(self) -> None:
        """Do what is due; called at a rhythm."""
        if self._is_loaded:
            self._own.look()
            self._delivery.look(self._waiting())

    def described(self, infos: list[RegistryInfo]) -> list[RegistryInfo]:
        """Return registries with whether they keep mail for us."""
        kept = self._own.serving
        return [attrs.evolve(one, mail=one.server in kept) for one in infos]

    # -- what happens

    def mailbox_for(self, peer_id: str) -> Mailbox | None:
        """Return what a peer is to know of our mailbox, ``None`` for nothing."""
        if not self.is_enabled:
            return Mailbox()  # an earlier run may have had one
        token = self._tokens.given(peer_id) if self._is_loaded else None
        if token is None:
            return None
        self._own.tokens_changed()
        return Mailbox(token, self._own.registries)

    def learned(self, peer_id: str, mailbox: Mailbox) -> None:
        """A peer has said where things may be left for it."""
        if self._is_loaded and self._tokens.learned(peer_id, mailbox):
            self._delivery.place_changed(peer_id)

    def arrived(self, server: str) -> None:
        """A registry that has mailboxes is available, or something came into ours there."""
        if self._is_loaded:
            self._own.serve(server)
        elif not self.is_enabled:
            self._own.give_up(server)

    def stored(self) -> None:
        """Something of a peer was stored."""
        if self._is_loaded:
            self._own.stored()

    def away(self, peer_id: str) -> None:
        """A contact for whom lines wait isn't there."""
        if self._is_loaded:
            self._delivery.away(peer_id)

    def happened(self, event: events.NodeEvent) -> None:
        """Take what the node tells: who is a contact, and who is there."""
        if not self._is_loaded:
            return
        match event:
            case events.ContactChanged(peer_id):
                self._tokens.standing_changed(peer_id)
                self._delivery.dropped(peer_id)
                if event.contact and not event.blocked:  # others aren't told that they are none
                    self._endpoint.mailbox_changed()
                self._own.tokens_changed()
            case events.Connected(peer_id):
                self._delivery.connected(peer_id)

    def until(self, peer_id: str, id: str) -> float | None:
        """Return how long a line of ours is kept that waits at a registry, ``None`` elsewhere."""
        log, _, number = id.rpartition("-")
        return self._delivery.until(peer_id, bytes.fromhex(log), int(number))

    # -- what was left for us

    def _take(self, opened: OpenedEnvelope) -> IsStored | None:
        """Take an envelope; of whoever is no contact nothing is taken."""
        peer_id, person = opened.author, self._profile.contacts[opened.author]
        if not person.is_contact or person.is_blocked:
            return None
        session = self._endpoint.ensure_session(peer_id)
        talk, taken = session.conversation, MailTaken({})
        with self._driver as now:
            try:
                bodies = decode_contents(opened.frames)
                taken = talk.take_mail(bodies, opened.key, now)
            except RemoteProtocolError as error:
                _log.info("an envelope of a contact: {error}", error=error)
            session.settle(now)
        noted = self._delivery.taken(peer_id, taken)
        noted.addCallback(lambda _: self._own.stored())
        return lambda: noted.called and talk.has_stored(taken) and not talk.has_unshown
