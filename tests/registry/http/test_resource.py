"""Every route of the registry, and every way in which it says no."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import __version__
from p2pchat.identity.nonces import UsedNonces
from p2pchat.identity.sealing import OVERHEAD, STEP
from p2pchat.identity.signed_documents import MAX_AGE
from p2pchat.registry.audiences import Audiences
from p2pchat.registry.http.client_address import TrustedProxies
from p2pchat.registry.http.resource import HttpSettings
from p2pchat.registry.registry import Settings
from p2pchat.registry.store.directory import MAX_NAMED
from p2pchat.registry.store.memory import MemoryStore
from p2pchat.registry.store.redis_link import unavailable
from p2pchat.wire.documents import (
    RecordKey,
    Registration,
    Removal,
    Ringing,
    Sealed,
    Subscription,
)
from tests.registry.web import (
    ADDRESS,
    HOST,
    ORIGIN,
    UNLIMITED,
    Response,
    Web,
    identity,
    request_bytes,
)

ALICE, BOB, CAROL = identity(1), identity(2), identity(3)
JOSE = {"Content-Type": "application/jose"}


class ResourceCase(SynchronousTestCase):
    """A fresh registry."""

    def setUp(self) -> None:
        self.web = Web()

    def assertRefused(self, response: Response, status: int, reason: str) -> None:
        """The answer is a problem document of this status and reason."""
        self.assertEqual((response.status, response.reason), (status, reason))

    def authorized(self, method: str, path: str, token: str, **more: Any) -> Response:
        return self.web.ask(method, path, headers={"Authorization": f"JWS {token}"}, **more)


class RegisterTests(ResourceCase):
    """POST /register."""

    def test_registers(self) -> None:
        """The answer has the record, the lease, the STUN servers and the address seen."""
        response = self.web.register(ALICE, "alice", nat="Full Cone")
        self.assertEqual(response.status, 200)
        answer = response.json
        self.assertEqual(answer["peer_id"], ALICE.peer_id)
        self.assertEqual((answer["username"], answer["nat"]), ("alice", "Full Cone"))
        self.assertEqual((answer["lease"], answer["your_ip"]), (60.0, "203.0.113.5"))
        self.assertEqual((answer["stun"], answer["ip"]), ([], None))

    def test_stun_urls(self) -> None:
        """STUN is named by the host that the client dialed, and by the second address."""
        self.web = Web(Settings(stun_port=3478, second_address="198.51.100.2"))
        self.assertEqual(
            self.web.register(ALICE).json["stun"],
            [
                f"stun:{ADDRESS}:3478",
                f"stun:{ADDRESS}:3479",
                "stun:198.51.100.2:3478",
                "stun:198.51.100.2:3479",
            ],
        )

    def test_stun_elsewhere(self) -> None:
        """STUN may have a name of its own."""
        self.web = Web(Settings(stun_port=3478, stun_host="stun.test"))
        expected = ["stun:stun.test:3478", "stun:stun.test:3479"]
        self.assertEqual(self.web.register(ALICE).json["stun"], expected)

    def test_public_origins(self) -> None:
        """With public origins these count, whatever the Host header says."""
        origins = ("https://p2p.example:443", "http://p2p.test:80")
        self.web = Web(Settings(audiences=Audiences(origins), stun_port=3478))
        for origin in origins:
            token = self.web.signed(ALICE, Registration("alice"), origin)
            answer = self.web.post("/register", token).json
            self.assertEqual(answer["stun"][0], "stun:p2p.example:3478")
        self.assertRefused(self.web.register(BOB), 403, "wrong-audience")

    def test_replayed(self) -> None:
        """A document is taken once."""
        token = self.web.signed(ALICE, Registration("alice"))
        self.assertEqual(self.web.post("/register", token).status, 200)
        self.assertRefused(self.web.post("/register", token), 409, "replayed-document")

    def test_stale(self) -> None:
        """A document from too long ago, or from the future, is refused with a challenge."""
        for age in (MAX_AGE + 1, -MAX_AGE - 1):
            token = self.web.signed(ALICE, Registration("alice"), age=age)
            response = self.web.post("/register", token)
            self.assertRefused(response, 401, "stale-document")
            self.assertIn("JWS", response.headers["www-authenticate"])

    def test_wrong_audience(self) -> None:
        """A document for another registry is refused."""
        token = self.web.signed(ALICE, Registration("alice"), "http://other.test:8000")
        self.assertRefused(self.web.post("/register", token), 403, "wrong-audience")

    def test_bad_signature(self) -> None:
        """A document that was changed is refused."""
        head, payload, _ = self.web.signed(ALICE, Registration("alice")).split(".")
        other = self.web.signed(ALICE, Registration("alicia")).split(".")[2]
        response = self.web.post("/register", f"{head}.{payload}.{other}")
        self.assertRefused(response, 401, "bad-signature")

    def test_wrong_type(self) -> None:
        """A document of another type has no business here."""
        token = self.web.signed(ALICE, Removal())
        self.assertRefused(self.web.post("/register", token), 400, "wrong-type")

    def test_media_type(self) -> None:
        """A body of another type, or of none, is refused."""
        for headers in ({}, {"Content-Type": "application/json"}):
            response = self.web.ask("POST", "/register", b"x", headers)
            self.assertRefused(response, 415, "unsupported-media-type")

    def test_garbage(self) -> None:
        """What isn't even in the form of a signed document is refused."""
        for body in ("", "x", "a.b.c", "a.b", "é"):
            self.assertRefused(self.web.post("/register", body), 400, "not-compact")

    def test_full(self) -> None:
        """A full registry says when to come back."""
        store = self.web.registry.store
        assert isinstance(store, MemoryStore)
        store.directory.capacity = 0
        response = self.web.register(ALICE)
        self.assertRefused(response, 503, "registry-full")
        self.assertEqual(response.headers["retry-after"], "60")

    def test_memory_full(self) -> None:
        """A registry that can't remember more documents takes none, rather than one twice."""
        store = self.web.registry.store
        assert isinstance(store, MemoryStore)
        store.used = UsedNonces(1)
        token = self.web.signed(ALICE, Registration("alice"))
        self.web.post("/register", token)
        response = self.web.register(BOB)
        self.assertRefused(response, 503, "too-many-documents")
        self.assertEqual(response.headers["retry-after"], str(int(MAX_AGE)))
        self.assertRefused(self.web.post("/register", token), 409, "replayed-document")

    def test_lease_ends(self) -> None:
        """A peer that falls silent is gone when its lease ends."""
        self.web.register(ALICE)
        self.web.pass_time(59)
        self.assertEqual(self.web.ask("GET", f"/peer/{ALICE.peer_id}").status, 200)
        self.web.pass_time(2)
        self.assertEqual(self.web.ask("GET", f"/peer/{ALICE.peer_id}").status, 404)
        self.assertEqual(self.web.ask("GET", "/status").json["peers_registered"], 0)


class RenewTests(ResourceCase):
    """POST /renew."""

    def setUp(self) -> None:
        super().setUp()
        self.token = self.web.register(ALICE).json["renewal"]
        self.path = f"/peer/{ALICE.peer_id}"

    def renew(self, token: str, peer_id: str = ALICE.peer_id, **more: Any) -> Response:
        headers = {"Authorization": f"Lease {token}"}
        return self.web.ask("POST", f"/renew/{peer_id}", headers=headers, **more)

    def test_renews(self) -> None:
        """The record lives for one more lease, and says what it said."""
        before = self.web.ask("GET", self.path).json
        self.web.pass_time(50)
        response = self.renew(self.token)
        self.assertEqual((response.status, response.body), (204, b""))
        self.web.pass_time(50)
        self.assertEqual(self.web.ask("GET", self.path).json, before)
        self.web.pass_time(11)
        self.assertEqual(self.web.ask("GET", self.path).status, 404)

    def test_others(self) -> None:
        """Another's token, none, or one shown from another address renews nothing."""
        bobs = self.web.register(BOB, "bob").json["renewal"]
        for token in (bobs, "", "x", self.token[:-1]):
            self.assertRefused(self.renew(token), 404, "unknown-lease")
        self.assertRefused(self.renew(self.token, ip="203.0.113.6"), 404, "unknown-lease")
        self.assertRefused(self.renew(self.token, CAROL.peer_id), 404, "unknown-lease")
        self.assertEqual(self.renew(self.token).status, 204)

    def test_replaced(self) -> None:
        """A token prolongs the record that it came with, and no other."""
        newer = self.web.register(ALICE).json["renewal"]
        self.assertRefused(self.renew(self.token), 404, "unknown-lease")
        self.assertEqual(self.renew(newer).status, 204)

    def test_too_late(self) -> None:
        """What has ended isn't brought back."""
        self.web.pass_time(61)
        self.assertRefused(self.renew(self.token), 404, "unknown-lease")

    def test_hidden(self) -> None:
        """Nobody is shown the token of another."""
        for path in (self.path, "/peers"):
            self.assertNotIn(self.token.encode(), self.web.ask("GET", path).body)

    def test_unsigned(self) -> None:
        """Without a token it is refused with a challenge."""
        response = self.web.ask("POST", f"/renew/{ALICE.peer_id}")
        self.assertRefused(response, 401, "unsigned")


class ReadTests(ResourceCase):
    """GET /peer, /peers, /status."""

    def test_peer(self) -> None:
        """A record is shown, with addresses where they were published."""
        self.web.register(ALICE, addresses=(("203.0.113.5", 7000),))
        record = self.web.ask("GET", f"/peer/{ALICE.peer_id.upper()}").json
        self.assertEqual((record["ip"], record["port"]), ("203.0.113.5", 7000))

    def test_unknown_peer(self) -> None:
        """An id that nobody registered is not found; what is no id is malformed."""
        response = self.web.ask("GET", f"/peer/{ALICE.peer_id}")
        self.assertRefused(response, 404, "unknown-peer")
        self.assertRefused(self.web.ask("GET", "/peer/alice"), 400, "malformed")

    def test_peers(self) -> None:
        """Pages follow each other to the end."""
        for number in range(5):
            self.web.register(identity(number), f"peer{number}")
        first = self.web.ask("GET", "/peers?limit=3").json
        second = self.web.ask("GET", f"/peers?limit=3&after={first['next']}").json
        ids = [record["peer_id"] for record in first["peers"] + second["peers"]]
        self.assertEqual(ids, sorted(identity(number).peer_id for number in range(5)))
        self.assertIsNone(second["next"])

    def test_peers_by_name(self) -> None:
        """A name may need percent-encoding."""
        self.web.register(ALICE, "Zoë & co")
        answer = self.web.ask("GET", "/peers?username=Zo%C3%AB%20%26%20co").json
        self.assertEqual([record["peer_id"] for record in answer["peers"]], [ALICE.peer_id])
        self.assertEqual(self.web.ask("GET", "/peers?username=zoe").json["peers"], [])

    def test_registration(self) -> None:
        """Whoever looks for somebody gets what they signed, as it came; a list doesn't show it."""
        token = self.web.signed(ALICE, Registration("alice"))
        self.web.post("/register", token)
        self.assertEqual(self.web.ask("GET", f"/peer/{ALICE.peer_id}").json["registration"], token)
        (named,) = self.web.ask("GET", "/peers?username=alice").json["peers"]
        (listed,) = self.web.ask("GET", "/peers").json["peers"]
        self.assertEqual(named, {**listed, "registration": token})

    def test_many_of_a_name(self) -> None:
        """A page of a name is short, however long their registrations are, and the next goes on."""
        key = RecordKey("enc", "x", "k" * 2000)
        for number in range(MAX_NAMED + 1):
            body = Registration("alice", keys=(key,))
            self.web.post("/register", self.web.signed(identity(100 + number), body))
        answer = self.web.ask("GET", "/peers?username=alice&limit=200")
        self.assertEqual(len(answer.json["peers"]), MAX_NAMED)
        self.assertLess(len(answer.body), 128 * 1024)  # half of what a peer takes
        rest = self.web.ask("GET", f"/peers?username=alice&after={answer.json['next']}").json
        self.assertEqual((len(rest["peers"]), rest["next"]), (1, None))

    def test_bad_queries(self) -> None:
        """Queries that mean nothing are malformed."""
        bad = ("limit=0", "limit=201", "limit=x", "limit=-1", "after=x", "username=%FF")
        for query in (*bad, "limit=1&limit=2", "limit=99999999999999999999"):
            self.assertRefused(self.web.ask("GET", f"/peers?{query}"), 400, "malformed")

    def test_status(self) -> None:
        """Status counts, and names nobody."""
        self.web.register(ALICE)
        self.web.subscribe(ALICE, self.web.signed(ALICE, Subscription()))
        self.web.ask("GET", "/nothing")
        self.web.pass_time(5)
        status = self.web.ask("GET", "/status")
        self.assertEqual((status.json["version"], status.json["uptime"]), (__version__, 5.0))
        self.assertEqual((status.json["peers_registered"], status.json["peers_online"]), (1, 1))
        self.assertEqual(status.json["errors"], {"404": 1})
        self.assertNotIn(b"203.0.113.5", status.body)
        self.assertNotIn(ALICE.peer_id.encode(), status.body)


class RemoveTests(ResourceCase):
    """DELETE /peer."""

    def setUp(self) -> None:
        super().setUp()
        self.web.register(ALICE)
        self.path = f"/peer/{ALICE.peer_id}"

    def test_removes(self) -> None:
        """A peer that leaves is gone at once; it can't leave twice."""
        response = self.authorized("DELETE", self.path, self.web.signed(ALICE, Removal()))
        self.assertEqual((response.status, response.json), (200, {"removed": True}))
        self.assertEqual(self.web.ask("GET", self.path).status, 404)
        again = self.authorized("DELETE", self.path, self.web.signed(ALICE, Removal()))
        self.assertRefused(again, 404, "unknown-peer")

    def test_not_yours(self) -> None:
        """Nobody removes another's record."""
        self.web.register(BOB)
        response = self.authorized("DELETE", self.path, self.web.signed(BOB, Removal()))
        self.assertRefused(response, 403, "not-yours")
        self.assertEqual(self.web.ask("GET", self.path).status, 200)

    def test_unsigned(self) -> None:
        """A removal without a document, or with another scheme, is refused with a challenge."""
        for headers in ({}, {"Authorization": "Basic eDp5"}):
            response = self.web.ask("DELETE", self.path, headers=headers)
            self.assertRefused(response, 401, "unsigned")
            self.assertEqual(response.headers["www-authenticate"], 'JWS realm="p2pchat"')

    def test_replayed(self) -> None:
        """A removal doesn't work again after its author came back."""
        token = self.web.signed(ALICE, Removal())
        self.authorized("DELETE", self.path, token)
        self.web.register(ALICE)
        response = self.authorized("DELETE", self.path, token)
        self.assertRefused(response, 409, "replayed-document")


class SubscribeTests(ResourceCase):
    """GET /events: what is refused (what works is in test_streams)."""

    def test_not_registered(self) -> None:
        """Who isn't registered has no stream."""
        path = f"/events/{ALICE.peer_id}"
        response = self.authorized("GET", path, self.web.signed(ALICE, Subscription()))
        self.assertRefused(response, 404, "not-registered")

    def test_not_yours(self) -> None:
        """Nobody reads another's stream."""
        self.web.register(ALICE)
        self.web.register(BOB)
        path = f"/events/{ALICE.peer_id}"
        response = self.authorized("GET", path, self.web.signed(BOB, Subscription()))
        self.assertRefused(response, 403, "not-yours")

    def test_same_document_after_registering(self) -> None:
        """A subscription refused for want of a record may be sent again after registering."""
        token = self.web.signed(ALICE, Subscription())
        self.authorized("GET", f"/events/{ALICE.peer_id}", token)
        self.web.register(ALICE)
        self.assertIn(b"event: ready", self.web.subscribe(ALICE, token).wire.value())

    def test_head(self) -> None:
        """HEAD opens no stream."""
        self.web.register(ALICE)
        path = f"/events/{ALICE.peer_id}"
        response = self.authorized("HEAD", path, self.web.signed(ALICE, Subscription()))
        self.assertEqual((response.status, response.body), (405, b""))
        self.assertEqual(len(self.web.registry.streams), 0)


class DeliverTests(ResourceCase):
    """POST /deliver: what is refused, and the counts."""

    def setUp(self) -> None:
        super().setUp()
        self.web.register(ALICE)
        self.web.register(BOB)
        self.path = f"/deliver/{BOB.peer_id}"

    def listen(self) -> None:
        self.web.subscribe(BOB, self.web.signed(BOB, Subscription()))

    def test_counts(self) -> None:
        """Deliveries are counted, and nothing of what is in them."""
        self.listen()
        for size in (64, OVERHEAD + STEP, 64):
            token = self.web.signed(ALICE, Sealed(bytes(size)), BOB.peer_id)
            self.assertEqual(self.web.post(self.path, token).status, 202)
        status = self.web.ask("GET", "/status").json
        self.assertEqual(status["deliveries"], 3)
        self.assertNotIn("offers", status)

    def test_sealed(self) -> None:
        """What is sealed is passed on as it came; an offer makes its reader a correspondent."""
        stream = self.web.subscribe(BOB, self.web.signed(BOB, Subscription()))
        for size in (OVERHEAD + STEP - 1, OVERHEAD + STEP):
            token = self.web.signed(ALICE, Sealed(bytes(size)), BOB.peer_id)
            self.assertEqual(self.web.post(self.path, token).status, 202)
            self.assertIn(token.encode(), stream.wire.value())

    def test_offline_then_again(self) -> None:
        """A document for a peer without a stream is refused at once, and may be sent again."""
        token = self.web.signed(ALICE, Sealed(bytes(64)), BOB.peer_id)
        self.assertRefused(self.web.post(self.path, token), 404, "peer-offline")
        self.listen()
        self.assertEqual(self.web.post(self.path, token).status, 202)
        self.assertRefused(self.web.post(self.path, token), 409, "replayed-document")

    def test_unknown_peer(self) -> None:
        """A document for somebody who isn't registered is refused."""
        token = self.web.signed(ALICE, Sealed(bytes(64)), CAROL.peer_id)
        response = self.web.post(f"/deliver/{CAROL.peer_id}", token)
        self.assertRefused(response, 404, "unknown-peer")

    def test_author_not_registered(self) -> None:
        """Only registered peers deliver."""
        self.listen()
        token = self.web.signed(CAROL, Sealed(bytes(64)), BOB.peer_id)
        self.assertRefused(self.web.post(self.path, token), 403, "not-registered")

    def test_wrong_audience(self) -> None:
        """A document goes to nobody but whom its author named."""
        self.listen()
        token = self.web.signed(ALICE, Sealed(bytes(64)), ALICE.peer_id)
        self.assertRefused(self.web.post(self.path, token), 403, "wrong-audience")

    def test_stale(self) -> None:
        """An old document isn't delivered."""
        self.listen()
        token = self.web.signed(ALICE, Sealed(bytes(64)), BOB.peer_id, age=MAX_AGE + 1)
        self.assertRefused(self.web.post(self.path, token), 401, "stale-document")

    def test_for_the_registry(self) -> None:
        """Documents for the registry aren't delivered to peers, nor what isn't sealed."""
        self.listen()
        for body in (Registration("alice"), Ringing("session")):
            token = self.web.signed(ALICE, body, BOB.peer_id)
            self.assertRefused(self.web.post(self.path, token), 400, "wrong-type")

    def test_no_line_breaks(self) -> None:
        """A document can't smuggle an event of its own into the stream."""
        self.listen()
        token = self.web.signed(ALICE, Sealed(bytes(64)), BOB.peer_id)
        for bad in (token + "\n\nevent: bye", token[:-4] + "\n" + token[-4:], token + "\n"):
            self.assertRefused(self.web.post(self.path, bad), 400, "not-compact")


class RoutingTests(ResourceCase):
    """What no route is for."""

    def test_no_such_route(self) -> None:
        """An unknown path is a problem document too."""
        for path in ("/", "/nothing", "/peers/", "/peer/", "/peer/a/b", "/%00"):
            self.assertRefused(self.web.ask("GET", path), 404, "no-such-route")

    def test_method_not_allowed(self) -> None:
        """A known path with another method says which it takes."""
        response = self.web.ask("PUT", "/register")
        self.assertRefused(response, 405, "method-not-allowed")
        self.assertEqual(response.headers["allow"], "OPTIONS, POST")
        response = self.web.ask("POST", f"/peer/{ALICE.peer_id}")
        self.assertEqual(response.headers["allow"], "DELETE, GET, HEAD, OPTIONS")

    def test_options(self) -> None:
        """OPTIONS says which methods a path takes."""
        response = self.web.ask("OPTIONS", "/peers")
        self.assertEqual((response.status, response.body), (204, b""))
        self.assertEqual(response.headers["allow"], "GET, HEAD, OPTIONS")

    def test_head(self) -> None:
        """HEAD answers with the headers of GET and no body."""
        response = self.web.ask("HEAD", "/peers")
        self.assertEqual((response.status, response.body), (200, b""))
        self.assertEqual(response.headers["content-length"], "24")

    def test_behind_a_proxy(self) -> None:
        """A trusted proxy says whose request it is: for the record, and for the rate."""
        self.web = Web(http=HttpSettings(TrustedProxies.parse("203.0.113.5")))
        headers = {"Content-Type": "application/jose", "X-Forwarded-For": "8.8.8.8, 203.0.113.77"}
        token = self.web.signed(ALICE, Registration("alice"))
        answer = self.web.ask("POST", "/register", token.encode(), headers)
        self.assertEqual(answer.json["your_ip"], "203.0.113.77")
        statuses = [self.web.ask("POST", "/register", b"x", headers).status for _ in range(200)]
        self.assertEqual(statuses[-2:], [400, 429])
        self.assertEqual(self.web.post("/register", "x").status, 400)
        headers["X-Forwarded-For"] = "\udcff"
        self.assertEqual(self.web.ask("POST", "/register", b"x", headers).status, 400)

    def test_store_away(self) -> None:
        """What needs the store is refused while it can't be reached; status is not."""

        class Away:
            def count(self) -> Deferred[None]:
                return succeed(None)

            def __getattr__(self, name: str) -> Any:
                return lambda *_arguments: fail(unavailable())

        self.web.registry.store = Away()  # type: ignore[assignment]
        for response in (self.web.register(ALICE), self.web.ask("GET", "/peers")):
            self.assertRefused(response, 503, "store-unavailable")
            self.assertEqual(response.headers["retry-after"], "2")
        status = self.web.ask("GET", "/status")
        self.assertEqual((status.status, status.json["peers_registered"]), (200, None))

    def test_client_leaves(self) -> None:
        """A client that hangs up while the store is asked is no mistake of ours."""
        pending: Deferred[Any] = Deferred()

        class Slow:
            def __getattr__(self, name: str) -> Any:
                return lambda *_arguments: pending

        self.web.registry.store = Slow()  # type: ignore[assignment]
        connection = self.web.connect()
        connection.send(request_bytes("GET", "/peers"))
        connection.hang_up()
        self.assertTrue(pending.called)
        self.assertEqual(self.web.registry.metrics.errors, {})

    def test_our_own_mistake(self) -> None:
        """A mistake of ours is a 500 without its traceback, and is logged."""

        class Broken:
            def __getattr__(self, name: str) -> object:
                raise ZeroDivisionError("secret")

        self.web.registry.store = Broken()  # type: ignore[assignment]
        response = self.web.ask("GET", "/peers")
        self.assertRefused(response, 500, "internal-error")
        self.assertNotIn(b"secret", response.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class ListTests(ResourceCase):
    """Who is listed, and whether anybody is."""

    def test_unlisted(self) -> None:
        """Who asks for it is in no page and found by no name, but by the whole id."""
        self.web.register(ALICE, "alice", listed=False)
        self.web.register(BOB, "bob")
        for path, names in (("/peers", ["bob"]), ("/peers?username=alice", [])):
            page = self.web.ask("GET", path).json
            self.assertEqual([one["username"] for one in page["peers"]], names)
        self.assertEqual(self.web.ask("GET", f"/peer/{ALICE.peer_id}").json["username"], "alice")
        self.assertEqual(self.web.ask("GET", "/status").json["peers_registered"], 2)

    def test_reachable(self) -> None:
        """Such a peer is called like any other."""
        self.web.register(ALICE, "alice", listed=False)
        self.web.register(BOB, "bob")
        stream = self.web.subscribe(ALICE, self.web.signed(ALICE, Subscription()))
        token = self.web.signed(BOB, Sealed(bytes(64)), ALICE.peer_id)
        self.assertEqual(self.web.post(f"/deliver/{ALICE.peer_id}", token).status, 202)
        self.assertIn(token.encode(), stream.wire.value())

    def test_no_list(self) -> None:
        """An operator may have no list at all: then names find nobody, either."""
        features = self.web.ask("GET", "/status").json["features"]
        self.assertEqual(features, ["list", "presence"])
        self.web = Web(http=HttpSettings(has_list=False))
        self.assertEqual(self.web.register(ALICE, "alice").json["features"], ["presence"])
        for path in (
            "/peers",
            "/peers?username=alice",
            "/peers?after=x",
            f"/peers?after={BOB.peer_id}",
        ):
            self.assertRefused(self.web.ask("GET", path), 403, "no-list")
        self.assertEqual(self.web.ask("GET", f"/peer/{ALICE.peer_id}").status, 200)


class GarbageTests(SynchronousTestCase):
    """No input gets a 500."""

    web = Web(Settings(rates=UNLIMITED))

    def tearDown(self) -> None:
        self.assertEqual(self.flushLoggedErrors(), [])

    def check(self, response: Response) -> None:
        """The answer is a refusal of the client's making."""
        self.assertIn(response.status, {400, 401, 403, 404, 405, 409, 411, 413, 415, 421, 429})

    @settings(max_examples=300)
    @given(st.binary(max_size=300))
    def test_bodies(self, body: bytes) -> None:
        """Any bytes as a document are refused."""
        self.web.clock.advance(1)
        self.check(self.web.ask("POST", "/register", body, JOSE))
        self.check(self.web.ask("POST", f"/deliver/{ALICE.peer_id}", body, JOSE))

    @settings(max_examples=200)
    @given(st.binary(max_size=60), st.integers(0, 2), st.integers(0, 400), st.booleans())
    def test_mutilated(self, junk: bytes, part: int, at: int, garble: bool) -> None:
        """A signed document with anything put into it is refused, or is still valid."""
        self.web.clock.advance(1)
        parts = self.web.signed(ALICE, Registration("alice")).encode().split(b".")
        inside = parts[part]
        parts[part] = inside[:at] + junk + inside[at + garble * len(junk) :]
        response = self.web.ask("POST", "/register", b".".join(parts), JOSE)
        self.assertIn(response.status, {200, 400, 401})

    @settings(max_examples=300)
    @given(st.text(st.characters(codec="utf-8"), max_size=40), st.binary(max_size=40))
    def test_paths(self, text: str, data: bytes) -> None:
        """Any path is refused or answered."""
        escaped = "".join(f"%{byte:02x}" for byte in data)
        printable = "".join(c for c in text if c not in " \r\n\0" and c.isprintable())
        self.web.clock.advance(1)
        for path in (f"/{escaped}", f"/peer/{escaped}", f"/{printable}", f"/peers?after={escaped}"):
            response = self.web.ask("GET", path)
            self.assertIn(response.status, {200, 400, 401, 403, 404, 405})

    @settings(max_examples=200)
    @given(st.text(st.characters(min_codepoint=33, max_codepoint=255), min_size=1, max_size=40))
    def test_hosts(self, host: str) -> None:
        """Any Host header but ours is refused."""
        self.web.clock.advance(1)
        response = self.web.ask("GET", "/status", headers={"Host": host})
        self.assertIn(response.status, {200} if host == HOST else {400, 421})

    @settings(max_examples=300)
    @given(st.sampled_from(["Content-Type", "Authorization", "Expect", "Cookie"]), st.binary())
    def test_headers(self, name: str, value: bytes) -> None:
        """Any header is refused or answered."""
        self.web.clock.advance(1)
        printable = value.translate(None, b"\r\n\0").decode("latin-1")
        for method, path in (("POST", "/register"), ("DELETE", f"/peer/{ALICE.peer_id}")):
            connection = self.web.connect()
            head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n{name}: {printable}\r\n\r\n"
            connection.send(head.encode("latin-1"))
            self.check(connection.response())
            connection.hang_up()

    @settings(max_examples=200)
    @given(st.text(st.characters(min_codepoint=33, max_codepoint=255), min_size=1, max_size=20))
    def test_methods(self, method: str) -> None:
        """Any method is refused or answered."""
        connection = self.web.connect()
        connection.send(f"{method} /status HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode("latin-1"))
        self.assertIn(connection.response().status, {200, 204, 400, 405})
        connection.hang_up()

    def test_origin(self) -> None:
        """The audience of these tests is what the Host header makes."""
        self.assertEqual(ORIGIN, f"http://{HOST}")
