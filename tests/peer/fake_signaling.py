"""Ways of signaling without a registry: one that a test plays, and a room of nodes side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from p2pchat.errors import RegistryError
from p2pchat.identity.keys import Identity
from p2pchat.identity.signed_documents import seal_document
from p2pchat.interfaces import IMailbox, INameplates, ISignaling
from p2pchat.peer.signaling import PeerRecord, SignalingAvailable, SignalingContext
from p2pchat.peer.signaling_channel import SignalingChannel
from p2pchat.runtime import Runtime
from p2pchat.wire.addresses import Scope
from p2pchat.wire.documents import PeerDocument, RecordKey
from p2pchat.wire.usernames import comparable


def _fits(username: str, name: str) -> bool:
    return not username or comparable(username) == comparable(name)


@implementer(ISignaling)
@attrs.define(eq=False)
class FakeSignaling:
    """
    One way that does what a test says.

    :ivar names: whom it finds, by id.
    :ivar error: with which everything fails, if there is one.
    :ivar is_lying: whether it lists everybody, whoever is asked for.
    :ivar sent: what was delivered.
    :ivar time: returns seconds since 1970.
    :ivar calls: the names of methods that were called.
    """

    name: str = "registry.test"
    names: dict[str, str] = attrs.Factory(dict)
    error: RegistryError | None = None
    is_local: bool = False
    scope: Scope = Scope.GLOBAL
    is_lying: bool = False
    sent: list[tuple[str, PeerDocument]] = attrs.Factory(list)
    calls: list[str] = attrs.Factory(list)
    nameplates: INameplates | None = None
    mailbox: IMailbox | None = None
    time: Callable[[], float] = lambda: 1000.0
    context: SignalingContext = attrs.field(init=False)

    def start(self, context: SignalingContext) -> None:
        """Keep the context."""
        self.context = context

    def stop(self) -> Deferred[None]:
        """Stop at once."""
        self.calls.append("stop")
        return succeed(None)

    def refresh(self) -> bool:
        """Count."""
        self.calls.append("refresh")
        return True

    def update(self) -> None:
        """Count."""
        self.calls.append("update")

    def now(self) -> float:
        """Return a time."""
        return self.time()

    def rtt(self) -> float:
        """See `ISignaling`."""
        return 0.0

    def find(self, peer_id: str) -> Deferred[PeerRecord | None]:
        """Find somebody, who is online."""
        if self.error is not None:
            return fail(self.error)
        name = self.names.get(peer_id)
        return succeed(None if name is None else PeerRecord(peer_id, name))

    def peers(self, username: str = "", prefix: str = "") -> Deferred[list[PeerRecord]]:
        """List those who fit, in the order of their ids."""
        if self.error is not None:
            return fail(self.error)
        return succeed(
            [
                PeerRecord(peer_id, name)
                for peer_id, name in sorted(self.names.items())
                if self.is_lying or (_fits(username, name) and peer_id.startswith(prefix))
            ]
        )

    def presence(self, peer_ids: Sequence[str]) -> Deferred[Mapping[str, bool]]:
        """Tell that those who are found are online."""
        self.calls.append("presence")
        if self.error is not None:
            return fail(self.error)
        return succeed({one: one in self.names for one in peer_ids})

    def send(self, peer_id: str, body: PeerDocument) -> Deferred[None]:
        """Deliver, or fail."""
        if self.error is not None:
            return fail(self.error)
        self.sent.append((peer_id, body))
        return succeed(None)


@implementer(ISignaling)
class RoomSignaling:
    """
    A room in which everybody finds everybody, and documents go from hand to hand.

    :param room: those who are in it, by id.
    """

    name = "the room"
    is_local = True
    scope = Scope.PRIVATE
    nameplates = None
    mailbox = None

    def __init__(self, room: dict[str, RoomSignaling], identity: Identity, runtime: Runtime):
        self._room = room
        self._identity = identity
        self._runtime = runtime

    def start(self, context: SignalingContext) -> None:
        """See `ISignaling`."""
        self._context = context
        self._channel = SignalingChannel(context, self._hand_over, self._look_up, self.now)
        self._room[self._identity.peer_id] = self
        context.receive(SignalingAvailable(self.name))

    def stop(self) -> Deferred[None]:
        """See `ISignaling`."""
        self._room.pop(self._identity.peer_id, None)
        return succeed(None)

    def refresh(self) -> bool:
        """See `ISignaling`: there is nothing to connect."""
        return False

    def update(self) -> None:
        """See `ISignaling`: whoever looks is told what holds now."""

    def now(self) -> float:
        """See `ISignaling`."""
        return self._runtime.wall_time()

    def rtt(self) -> float:
        """See `ISignaling`."""
        return 0.0

    def find(self, peer_id: str) -> Deferred[PeerRecord | None]:
        """See `ISignaling`."""
        found = self._room.get(peer_id)
        return succeed(None if found is None else found._record())

    def peers(self, username: str = "", prefix: str = "") -> Deferred[list[PeerRecord]]:
        """See `ISignaling`."""
        records = [one._record() for one in self._room.values()]
        return succeed([r for r in records if r.peer_id.startswith(prefix)])

    def presence(self, peer_ids: Sequence[str]) -> Deferred[Mapping[str, bool]]:
        """See `ISignaling`."""
        return succeed({one: one in self._room for one in peer_ids})

    def send(self, peer_id: str, body: PeerDocument) -> Deferred[None]:
        """See `ISignaling`."""
        sent: Deferred[None] = self._channel.send(peer_id, body)
        return sent

    def _record(self) -> PeerRecord:
        return PeerRecord(self._identity.peer_id, self._context.describe().username)

    def _look_up(self, peer_id: str) -> Deferred[tuple[RecordKey, ...]]:
        if peer_id not in self._room:
            return fail(RegistryError("nobody of this id is in the room", reason="unknown-peer"))
        return succeed(self._room[peer_id]._context.describe().keys)

    def _hand_over(self, peer_id: str, body: PeerDocument, key: RecordKey) -> Deferred[None]:
        if peer_id not in self._room:
            return fail(RegistryError("nobody of this id is in the room", reason="unknown-peer"))
        token = seal_document(
            *(self._identity, peer_id, body, key), now=self.now(), nonce=self._runtime.random_name()
        )
        self._runtime.clock.callLater(0.001, self._room[peer_id].receive, token)
        return succeed(None)

    def receive(self, token: str) -> None:
        """Take a signed document from another hand."""
        self._channel.receive(token)
