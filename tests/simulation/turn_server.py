"""
A relay for tests (RFC 8656), over UDP and TCP, on a simulated host.

It checks TURN REST credentials, and serves allocations, permissions by IP address and channels.
What a test may want of a bad day is there as a method or an attribute: nonces that expire,
allocations that are forgotten, quotas, peers that are refused, one error for everything.

It is no relay for anything else: no lifetimes are enforced beyond their expiry at the next packet,
and a client that stays away is never cleaned up.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol

from p2pchat.errors import RemoteProtocolError
from p2pchat.traversal.turn import ALLOCATE, REFRESH
from p2pchat.traversal.turn_permissions import CHANNEL_BIND, CREATE_PERMISSION, DATA, SEND
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from p2pchat.wire.channel_data import (
    StreamFrames,
    decode_channel_data,
    encode_channel_data,
    is_channel_data,
)
from p2pchat.wire.servers import LongTermCredential
from tests.simulation.host import Host

PORT = 3478
REALM = "relay.test"
LIFETIME = 600  # seconds
PERMISSION, CHANNEL = 300.0, 600.0  # seconds
XOR_PEER_ADDRESS = 0x0012

Send = Callable[[bytes], None]


def rest_credentials(secret: bytes, expiry: float, name: str = "test") -> LongTermCredential:
    """Return TURN REST credentials, as a registry that shares the secret issues them."""
    username = f"{int(expiry)}:{name}"
    password = base64.b64encode(hmac.digest(secret, username.encode(), hashlib.sha1)).decode()
    return LongTermCredential(username, password)


def peer_addresses(data: bytes) -> list[Address]:
    """Return every XOR-PEER-ADDRESS of a message; the codec keeps the first only."""
    found = []
    while len(data) > 20:
        kind, length = struct.unpack_from("!HH", data, 20)
        whole = 4 + length + -length % 4
        if kind == XOR_PEER_ADDRESS:
            single = struct.pack("!HH", 0x0001, whole) + data[4:20] + data[20 : 20 + whole]
            found.append(stun.decode(single).attributes["XOR-PEER-ADDRESS"])
        data = data[:20] + data[20 + whole :]
    return found


@attrs.define(eq=False)
class Relayed(DatagramProtocol):
    """The relayed address of one allocation."""

    noisy = False

    server: TurnServer
    client: Client
    username: str
    transaction_id: bytes
    expires: float
    permissions: dict[str, float] = attrs.Factory(dict)
    channels: dict[int, tuple[Address, float]] = attrs.Factory(dict)
    port: Any = None

    @property
    def address(self) -> Address:
        """The relayed transport address."""
        return (self.server.host.address, self.port.getHost().port)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Pass on what comes from a permitted peer."""
        peer, now = (addr[0], addr[1]), self.server.now()
        if self.permissions.get(peer[0], 0) <= now or self.expires <= now:
            return
        for number, (bound, until) in self.channels.items():
            if bound == peer and until > now:
                frame = encode_channel_data(number, datagram, self.client.is_stream)
                self.client.send(frame)
                return
        attributes = {"XOR-PEER-ADDRESS": peer, "DATA": datagram}
        kind = stun.MessageClass.INDICATION
        self.client.send(stun.encode(stun.Message(kind, bytes(12), attributes, DATA)))

    def relay(self, data: bytes, peer: Address | None) -> None:
        """Send a client's datagram to a permitted peer."""
        if peer is not None and self.permissions.get(peer[0], 0) > self.server.now():
            self.server.relayed += 1
            self.port.write(data, peer)


@attrs.define(eq=False)
class Client:
    """Where a client's messages come from."""

    key: object
    address: Address
    send: Send
    is_stream: bool


@attrs.define(eq=False)
class Refused(Exception):
    """An error response."""

    code: int


@attrs.define(eq=False)
class TurnServer:
    """
    See the module.

    :ivar quota: allocations that it grants.
    :ivar refuses: IP addresses of peers that it won't serve.
    :ivar always: an error code for every signed request, or 0.
    :ivar relayed: datagrams that went to peers.
    :ivar requests: the methods of the requests that came, in order.
    """

    host: Host
    secret: bytes
    wall_time: Callable[[], float]
    quota: int = 100
    refuses: set[str] = attrs.Factory(set)
    always: int = 0
    lifetime: int = LIFETIME
    relayed: int = 0
    requests: list[int] = attrs.Factory(list)
    allocations: dict[object, Relayed] = attrs.Factory(dict)
    _nonce: int = 0

    @classmethod
    def on(
        cls, host: Host, secret: bytes, wall_time: Callable[[], float], port: int = PORT
    ) -> TurnServer:
        """Start a relay on a host, UDP and TCP."""
        server = cls(host, secret, wall_time)
        host.reactor.listenUDP(port, _UdpClients(server), host.address, 65535)
        host.reactor.listenTCP(port, _StreamFactory(server))
        if host.ipv6:
            host.reactor.listenUDP(port, _UdpClients(server), host.ipv6[0], 65535)
            host.reactor.listenTCP(port, _StreamFactory(server), interface=host.ipv6[0])
        return server

    def now(self) -> float:
        """Return seconds."""
        return self.host.reactor.seconds()

    def expire_nonces(self) -> None:
        """Ask everybody to sign with another nonce."""
        self._nonce += 1

    def forget(self) -> None:
        """Forget all allocations, as after a restart."""
        for key in list(self.allocations):
            self._end(key)

    def _end(self, key: object) -> None:
        self.allocations.pop(key).port.stopListening()

    def receive(self, data: bytes, client: Client) -> None:
        """Take a datagram or a frame."""
        allocation = self._allocation(client)
        try:
            if is_channel_data(data):
                number, payload = decode_channel_data(data)
                if allocation is not None and number in allocation.channels:
                    allocation.relay(payload, allocation.channels[number][0])
                return
            message = stun.decode(data, most=65535)
        except RemoteProtocolError:
            return
        if message.message_class is stun.MessageClass.REQUEST:
            self._answer(message, data, client)
        elif message.method == SEND and allocation is not None:
            attributes = message.attributes
            allocation.relay(attributes.get("DATA", b""), attributes.get("XOR-PEER-ADDRESS"))

    def _allocation(self, client: Client) -> Relayed | None:
        allocation = self.allocations.get(client.key)
        if allocation is not None and allocation.expires <= self.now():
            self._end(client.key)
            return None
        return allocation

    def _answer(self, message: stun.Message, data: bytes, client: Client) -> None:
        self.requests.append(message.method)
        key = None
        try:
            key = self._authenticate(message)
            if self.always:
                raise Refused(self.always)
            attributes = self._serve(message, data, client)
            answer = stun.success(message, **attributes)
        except Refused as refused:
            answer = self._error(message, refused.code)
        client.send(stun.encode(answer, key))

    def _error(self, message: stun.Message, code: int) -> stun.Message:
        challenge = {"REALM": REALM, "NONCE": self._nonce_text()} if code in {401, 438} else {}
        return stun.failure(message, code, "", **challenge)

    def _nonce_text(self) -> bytes:
        return b"nonce-%d" % self._nonce

    def _authenticate(self, message: stun.Message) -> bytes:
        username = message.attributes.get("USERNAME", "")
        expiry = username.partition(":")[0]
        if not expiry.isdigit() or int(expiry) < self.wall_time():
            raise Refused(401)
        digest = hmac.digest(self.secret, username.encode(), hashlib.sha1)
        key = LongTermCredential(username, base64.b64encode(digest).decode()).key(REALM)
        if message.attributes.get("REALM") != REALM or not message.integrity_holds(key):
            raise Refused(401)
        if message.attributes.get("NONCE") != self._nonce_text():
            raise Refused(438)
        return key

    def _serve(self, message: stun.Message, data: bytes, client: Client) -> dict[str, Any]:
        if message.method == ALLOCATE:
            return self._allocate(message, client)
        allocation = self._allocation(client)
        if allocation is None:
            raise Refused(437)
        if allocation.username != message.attributes["USERNAME"]:
            raise Refused(441)
        if message.method == REFRESH:
            return self._refresh(message, allocation)
        if message.method == CREATE_PERMISSION:
            self._permit(allocation, peer_addresses(data))
            return {}
        if message.method == CHANNEL_BIND:
            self._bind(allocation, message)
            return {}
        raise Refused(400)

    def _allocate(self, message: stun.Message, client: Client) -> dict[str, Any]:
        allocation = self._allocation(client)
        if allocation is not None and allocation.transaction_id != message.transaction_id:
            raise Refused(437)
        if allocation is None:
            allocation = self._new_allocation(message, client)
        return {
            "XOR_RELAYED_ADDRESS": allocation.address,
            "XOR_MAPPED_ADDRESS": client.address,
            "LIFETIME": self.lifetime,
        }

    def _new_allocation(self, message: stun.Message, client: Client) -> Relayed:
        if len(self.allocations) >= self.quota:
            raise Refused(486)
        username, expires = message.attributes["USERNAME"], self.now() + self.lifetime
        allocation = Relayed(self, client, username, message.transaction_id, expires)
        listening = self.host.reactor.listenUDP(0, allocation, self.host.address, 65535)
        allocation.port = listening
        self.allocations[client.key] = allocation
        return allocation

    def _refresh(self, message: stun.Message, allocation: Relayed) -> dict[str, Any]:
        wanted = message.attributes.get("LIFETIME", self.lifetime)
        if wanted == 0:
            self._end(allocation.client.key)
        allocation.expires = self.now() + wanted
        return {"LIFETIME": wanted}

    def _permit(self, allocation: Relayed, peers: list[Address]) -> None:
        if any(peer[0] in self.refuses for peer in peers):
            raise Refused(403)
        if not peers:
            raise Refused(400)
        for peer in peers:
            allocation.permissions[peer[0]] = self.now() + PERMISSION

    def _bind(self, allocation: Relayed, message: stun.Message) -> None:
        number = message.attributes.get("CHANNEL-NUMBER", 0)
        peer = message.attributes.get("XOR-PEER-ADDRESS")
        bound = allocation.channels.get(number, (peer, 0))[0]
        if not 0x4000 <= number <= 0x4FFF or peer is None or bound != peer:
            raise Refused(400)
        self._permit(allocation, [peer])
        allocation.channels[number] = (peer, self.now() + CHANNEL)


class _UdpClients(DatagramProtocol):
    """Everybody who comes over UDP."""

    def __init__(self, server: TurnServer) -> None:
        self._server = server

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        transport = self.transport
        assert transport is not None
        address = (addr[0], addr[1])
        client = Client(address, address, lambda data: transport.write(data, address), False)
        self._server.receive(datagram, client)


class _StreamClient(Protocol):
    """One client over TCP."""

    def __init__(self, server: TurnServer) -> None:
        self._server = server
        self._frames = StreamFrames()

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        peer = transport.getPeer()
        client = Client(self, (peer.host, peer.port), transport.write, True)
        for frame in self._frames.receive(data):
            self._server.receive(frame, client)

    def connectionLost(self, reason: object = None) -> None:
        if self in self._server.allocations:
            self._server._end(self)


class _StreamFactory(Factory):
    noisy = False

    def __init__(self, server: TurnServer) -> None:
        self._server = server

    def buildProtocol(self, addr: object) -> _StreamClient:
        return _StreamClient(self._server)
