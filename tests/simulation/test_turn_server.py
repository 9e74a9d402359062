"""The tests' own relay: it refuses what a relay must refuse."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.turn import ALLOCATE, REFRESH, UDP
from p2pchat.traversal.turn_permissions import CHANNEL_BIND, CREATE_PERMISSION
from p2pchat.wire import stun
from p2pchat.wire.channel_data import encode_channel_data
from tests.simulation.internet import Internet
from tests.simulation.recorder import Recorder
from tests.simulation.turn_server import PORT, REALM, TurnServer, peer_addresses, rest_credentials

SECRET = b"secret"
RELAY = ("203.0.113.7", PORT)
PEERS = [("192.0.2.1", 7), ("192.0.2.2", 0)]


class TurnServerTests(SynchronousTestCase):
    """Requests written by hand."""

    def setUp(self) -> None:
        """Start a relay and a client's socket."""
        self.internet = Internet(3)
        self.relay = TurnServer.on(self.internet.host(RELAY[0]), SECRET, lambda: 1000.0)
        self.client = Recorder.on(self.internet.host())
        self.credentials = rest_credentials(SECRET, 2000)
        self.nonce = b"nonce-0"

    def ask(self, method: int, **attributes: object) -> stun.Message:
        """Sign and send a request; return the response."""
        named = {name.replace("_", "-"): value for name, value in attributes.items()}
        username = self.credentials.username
        signed = {**named, "USERNAME": username, "REALM": REALM, "NONCE": self.nonce}
        identifier = self.internet.random.randbytes(12)
        request = stun.Message(stun.MessageClass.REQUEST, identifier, signed, method)
        self.client.received.clear()
        self.client.send(stun.encode(request, self.credentials.key(REALM)), RELAY)
        self.internet.run(1)
        return stun.decode(self.client.received[0][0])

    def code(self, method: int, **attributes: object) -> int:
        """Return the error code of the response, 0 for success."""
        answer = self.ask(method, **attributes)
        code: int = answer.attributes.get("ERROR-CODE", (0, ""))[0]
        return code

    def allocate(self) -> int:
        """Ask for an allocation."""
        return self.code(ALLOCATE, REQUESTED_TRANSPORT=UDP)

    def test_credentials(self) -> None:
        """Unsigned, wrongly signed and expired requests get 401, old nonces 438."""
        self.client.send(stun.encode(stun.request(bytes(12))), RELAY)
        self.internet.run(1)
        refused = stun.decode(self.client.received[0][0]).attributes
        self.assertEqual((refused["ERROR-CODE"][0], refused["REALM"]), (401, REALM))
        for bad in (rest_credentials(b"other", 2000), rest_credentials(SECRET, 999)):
            self.credentials = bad
            self.assertEqual(self.allocate(), 401)
        self.credentials = rest_credentials(SECRET, 2000)
        self.relay.expire_nonces()
        self.assertEqual(self.allocate(), 438)
        self.nonce = b"nonce-1"
        self.assertEqual(self.allocate(), 0)

    def test_one_allocation(self) -> None:
        """A client has one allocation, of its username; a quota holds."""
        self.assertEqual(self.code(REFRESH), 437)
        self.assertEqual(self.allocate(), 0)
        self.assertEqual(self.allocate(), 437)
        mine, self.credentials = self.credentials, rest_credentials(SECRET, 2000, "other")
        self.assertEqual(self.code(REFRESH), 441)
        self.credentials = mine
        self.assertEqual(self.code(REFRESH, LIFETIME=0), 0)
        self.relay.quota = 0
        self.assertEqual(self.allocate(), 486)

    def test_peers(self) -> None:
        """Refused peers and senseless channels are refused."""
        self.allocate()
        self.relay.refuses = {PEERS[1][0]}
        self.assertEqual(self.code(CREATE_PERMISSION, XOR_PEER_ADDRESS=PEERS), 403)
        self.assertEqual(self.code(CREATE_PERMISSION, XOR_PEER_ADDRESS=PEERS[:1]), 0)
        self.assertEqual(self.code(CREATE_PERMISSION), 400)
        bind = {"XOR_PEER_ADDRESS": PEERS[0]}
        self.assertEqual(self.code(CHANNEL_BIND, CHANNEL_NUMBER=0x3FFF, **bind), 400)
        self.assertEqual(self.code(CHANNEL_BIND, CHANNEL_NUMBER=0x4000, **bind), 0)
        other = {"XOR_PEER_ADDRESS": ("192.0.2.3", 7)}
        self.assertEqual(self.code(CHANNEL_BIND, CHANNEL_NUMBER=0x4000, **other), 400)

    def test_expiry(self) -> None:
        """An allocation that isn't refreshed ends."""
        self.allocate()
        self.internet.run(601)
        self.assertEqual(self.code(REFRESH), 437)
        self.assertEqual(self.relay.allocations, {})

    def test_no_permission(self) -> None:
        """Nothing passes without a permission, nor through a channel that isn't bound."""
        self.allocate()
        attributes = {"XOR-PEER-ADDRESS": PEERS[0], "DATA": b"x"}
        kind = stun.MessageClass.INDICATION
        self.client.send(stun.encode(stun.Message(kind, bytes(12), attributes, 6)), RELAY)
        self.client.send(encode_channel_data(0x4000, b"x", False), RELAY)
        self.internet.run(1)
        self.assertEqual(self.relay.relayed, 0)

    def test_every_peer(self) -> None:
        """All addresses of a request are read."""
        message = stun.Message(
            stun.MessageClass.REQUEST, bytes(12), {"LIFETIME": 1, "XOR-PEER-ADDRESS": PEERS}, 8
        )
        self.assertEqual(peer_addresses(stun.encode(message, b"key")), PEERS)
