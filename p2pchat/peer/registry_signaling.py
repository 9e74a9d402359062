"""
Signaling by a registry: registration and event stream, documents, look-ups, STUN and relays.

Puts the parts together: :mod:`~p2pchat.peer.registry_connection` keeps us registered,
:mod:`~p2pchat.peer.signaling_channel` judges and orders documents, and the URLs of servers become
addresses by :mod:`~p2pchat.peer.resolver`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import deferLater
from zope.interface import implementer

from p2pchat.errors import RegistryError, RemoteProtocolError
from p2pchat.events import Trouble
from p2pchat.identity.keys import Identity
from p2pchat.identity.signed_documents import MAX_DOCUMENT, open_document
from p2pchat.interfaces import ISignaling
from p2pchat.natcheck.discovery import first_answering
from p2pchat.peer.lease import Lease
from p2pchat.peer.nameplates import RegistryNameplates
from p2pchat.peer.pasted import whole_id
from p2pchat.peer.registry_client import RegistryClient
from p2pchat.peer.registry_connection import Callbacks, ConnectionStage, RegistryConnection
from p2pchat.peer.registry_location import nearest_of, scope_of_url
from p2pchat.peer.registry_mailbox import RegistryMailbox
from p2pchat.peer.resolver import Resolver
from p2pchat.peer.settings import DEFAULT_SERVER
from p2pchat.peer.signaling import (
    MailWaiting,
    NameplateAnswered,
    PeerRecord,
    RelaysOffered,
    SignalingAvailable,
    SignalingContext,
    SignalingEvent,
    SignalingLost,
)
from p2pchat.peer.signaling_channel import SignalingChannel
from p2pchat.runtime import Runtime
from p2pchat.traversal.reachability import is_on_this_machine
from p2pchat.traversal.round_trips import RoundTrips
from p2pchat.wire.addresses import Family, Scope, family
from p2pchat.wire.documents import PeerDocument, RecordKey, Registration
from p2pchat.wire.mailbox import FEATURE
from p2pchat.wire.origins import host
from p2pchat.wire.presence import PRESENCE, PresenceAnswer, PresenceQuery
from p2pchat.wire.strict_json import JsonObject, field

MAX_PAGE = 200  # records of one page, which is as many as a registry gives
PREFIX_PAGE = 20  # records that an ambiguous prefix is told apart by
NAME_PAGE = 20  # records of one name, each with a registration of a kilobyte
MAX_EACH = 4  # peers that an older registry is asked about at once
LOOK_AGAIN = 0.05  # seconds between looks at whether all is delivered
_LOWEST = "00000000-0000-8000-8000-000000000000"  # of version 8


@implementer(ISignaling)
class RegistrySignaling:
    """
    One registry, as one identity uses it.

    :param server: the registry's URL.
    :param nearest: how near it may be.
    """

    def __init__(
        self,
        server: str,
        identity: Identity,
        runtime: Runtime,
        nearest: Scope = Scope.LOOPBACK,
    ) -> None:
        self.name = server
        self.is_local = is_on_this_machine(server)
        self._runtime = runtime
        self._client = RegistryClient(server, identity, runtime, self._warn, nearest)
        self.nameplates = RegistryNameplates(self._client)
        self.mailbox = RegistryMailbox(self._client, self._nameless)
        self._resolver = Resolver(runtime, RoundTrips(self.rtt))
        self._is_started = self._is_registered = False
        self._is_old = False  # it answers no question about many
        self._lease: Lease | None = None  # while we are registered
        self._receive: Callable[[SignalingEvent], None] = lambda _event: None  # until the start

    @property
    def scope(self) -> Scope:
        """See :class:`ISignaling`."""
        reached = self._client.scope
        if self.name == DEFAULT_SERVER:  # nobody may have chosen it
            return reached
        return nearest_of((reached, scope_of_url(self.name)))

    def _nameless(self) -> RegistryClient:
        """Return a client that signs nothing, and has connections of its own."""
        nobody = Identity.from_seed(self._runtime.random_bytes(32))
        return RegistryClient(self.name, nobody, self._runtime, nearest=self._client.nearest)

    def now(self) -> float:
        """See :class:`ISignaling`."""
        return self._client.now()

    def rtt(self) -> float:
        """See :class:`ISignaling`."""
        return self._client.rtt

    # -- life

    def start(self, context: SignalingContext) -> None:
        """See :class:`ISignaling`."""
        self._is_started, self._receive = True, context.receive
        self._describe = context.describe
        self._keys = context.keys
        self._channel = SignalingChannel(
            context, self._client.deliver, self._keys_of, self._client.now, self._client.status
        )
        self._connection = RegistryConnection(
            self._client,
            self._runtime,
            context.describe,
            Callbacks(
                self._registered,
                self._lost,
                self._channel.receive,
                self._offer_relays,
                self._answered,
                self._mail_waits,
            ),
        )
        self._connection.start()

    @inlineCallbacks
    def stop(self) -> Any:
        """See :class:`ISignaling`."""
        if not self._is_started:
            yield self._client.close()
            return
        self._connection.stop()
        self._channel.resume()
        try:
            while not self._channel.is_idle:
                yield deferLater(self._runtime.clock, LOOK_AGAIN)
            if self._is_registered:  # else it can't be reached, or the record is another program's
                yield self._client.remove()
        finally:
            yield self._client.close()

    def refresh(self) -> bool:
        """See :class:`ISignaling`."""
        if self._channel.is_paused or self._connection.stage is ConnectionStage.STOPPED:
            return False
        self._channel.pause()
        self._lease = None
        self._client.close()  # what is kept may be as dead as the network
        self._connection.refresh()
        return True

    def update(self) -> None:
        """See :class:`ISignaling`."""
        if self._is_registered:  # else the registration that follows says what holds then
            self._connection.renew()

    def _warn(self, sentence: str) -> None:
        self._receive(Trouble(sentence))

    def _answered(self, nameplate: str) -> None:
        self._receive(NameplateAnswered(nameplate))

    def _mail_waits(self) -> None:
        self._receive(MailWaiting(self.name))

    def _lost(self, reason: str, retry_in: float) -> None:
        self._is_registered, self._lease = False, None
        self._channel.resume()
        is_displaced = self._connection.stage is ConnectionStage.DISPLACED
        self._receive(SignalingLost(reason, retry_in, is_displaced))

    @inlineCallbacks
    def _registered(self, lease: Lease) -> Any:
        self._lease = lease
        stun = yield self._resolver.stun_servers(lease.stun, self._client.scope)
        yield self._offer_relays(lease)
        if self._lease is not lease:
            return  # we were lost, or are connecting anew, while names were looked up
        self._channel.resume()
        self._is_registered = True
        self._receive(SignalingAvailable(self.name, tuple(stun), lease.address))
        if FEATURE in lease.features:
            self._mail_waits()

    @inlineCallbacks
    def _offer_relays(self, lease: Lease) -> Any:
        """Hand relay credentials on, which are short-lived; say where nobody hides us."""
        if not self._describe().visible and PRESENCE not in lease.features:
            self._client.warn(f"{self.name} knows no --invisible: who has your id sees you there")
        if lease.credentials is not None:
            relays = yield self._resolver.relays(lease.relays, self._client.scope)
            self._receive(RelaysOffered(tuple(relays), lease.credentials))

    # -- peers and documents

    @inlineCallbacks
    def find(self, peer_id: str) -> Any:
        """See :class:`ISignaling`."""
        try:
            return PeerRecord.from_json((yield self._client.peer(peer_id)))
        except RegistryError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        except RemoteProtocolError as error:
            raise RegistryError(f"{self.name} is no p2pchat registry: {error}") from None

    @inlineCallbacks
    def presence(self, peer_ids: Sequence[str]) -> Any:
        """See :class:`ISignaling`."""
        if self._is_old:
            return (yield self._presence_of_each(peer_ids[:MAX_EACH]))
        try:
            answer = yield self._client.presence(PresenceQuery(tuple(peer_ids)))
            online = PresenceAnswer.from_json(answer).online
        except RegistryError as error:
            if error.reason != "no-such-route":
                raise
            self._is_old = True
            return (yield self.presence(peer_ids))
        except RemoteProtocolError as error:
            raise RegistryError(f"{self.name} is no p2pchat registry: {error}") from None
        return {one: one in online for one in peer_ids}

    @inlineCallbacks
    def _presence_of_each(self, peer_ids: Sequence[str]) -> Any:
        found = {}
        for peer_id in peer_ids:
            record = yield self.find(peer_id)
            found[peer_id] = record is not None and record.online
        return found

    @inlineCallbacks
    def _keys_of(self, peer_id: str) -> Any:
        """Return a Deferred of the keys in a peer's record."""
        record = yield self._client.peer(peer_id)
        try:
            return _keys_in(record, peer_id)
        except RemoteProtocolError as error:
            raise RegistryError(
                f"what {self.name} says of {peer_id} can't be relied on: {error}",
                reason="no-sealing-key",
            ) from None

    @inlineCallbacks
    def peers(self, username: str = "", prefix: str = "") -> Any:
        """See :class:`ISignaling`."""
        query = {"username": username, "limit": str(NAME_PAGE)} if username else {}
        if prefix:
            after = (prefix + _LOWEST[len(prefix) :])[: len(_LOWEST)]
            if whole_id(after) != after:
                return []
            query = {"after": after, "limit": str(PREFIX_PAGE)}
        found = []
        for record, members in _records((yield self._client.peers(**query))):
            found.append(record)
            if "registration" in members:
                with contextlib.suppress(RemoteProtocolError):
                    self._keys.shown(record.peer_id, _keys_in(members, record.peer_id))
        return found

    @inlineCallbacks
    def send(self, peer_id: str, body: PeerDocument) -> Any:
        """See :class:`ISignaling`."""
        try:
            yield self._channel.send(peer_id, body)
            return
        except RegistryError as error:
            if error.reason != "not-registered":
                raise
        self.refresh()  # it was started again, and our event stream is dead without our knowing
        yield self._channel.send(peer_id, body)


def _keys_in(record: JsonObject, peer_id: str) -> tuple[RecordKey, ...]:
    """
    Return the keys that a peer shows in its record.

    They count because the peer signed them.  When it did, and at which name of the registry,
    doesn't matter: an old key is one that its owner has still, or that opens nothing.

    :raises RemoteProtocolError: the registration isn't there, or isn't the peer's.
    """
    document = open_document(field(record, "registration", str, MAX_DOCUMENT))
    if not isinstance(document.body, Registration) or document.issuer != peer_id:
        raise RemoteProtocolError(f"the record of {peer_id} has no registration of theirs")
    return document.body.keys


def _records(page: JsonObject) -> list[tuple[PeerRecord, JsonObject]]:
    """Return the records of a page, each as it came, too; those that can't be read are left out."""
    records, found = page.get("peers"), []
    for one in records[:MAX_PAGE] if isinstance(records, list) else []:
        if isinstance(one, dict):
            with contextlib.suppress(RemoteProtocolError):
                found.append((PeerRecord.from_json(one), one))
    return found


@inlineCallbacks
def find_stun(server: str, runtime: Runtime) -> Any:
    """
    Ask a registry where STUN is, and return a Deferred of an IPv4 address, one that answers.

    It fails with :class:`p2pchat.errors.RegistryError` where the registry can't be asked, or names
    no server that can be used.
    """
    client = RegistryClient(server, Identity.from_seed(runtime.random_bytes(32)), runtime)
    status = yield client.status()
    urls = status.get("stun_servers", [f"stun:{host(server)}"])
    resolver = Resolver(runtime, RoundTrips(lambda: client.rtt))
    found = yield resolver.stun_servers(urls, client.scope)
    usable = [address for address in found if family(address[0]) is Family.IPV4]
    if not usable:
        raise RegistryError(
            f"the registry {server} names no STUN server with an IPv4 address: --stun-port says "
            "where one is at its host"
        )
    return (yield first_answering(runtime, usable))
