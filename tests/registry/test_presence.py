"""Presence over HTTP: who of many is online, what a question costs, and who isn't shown."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.identity.sealing import OVERHEAD, SHORTER, STEP
from p2pchat.registry.admission.rates import PRESENCE
from p2pchat.wire.documents import Sealed, Subscription
from p2pchat.wire.presence import MAX_ASKED
from p2pchat.wire.strict_json import dumps
from tests.registry.web import Connection, Response, Web, identity

ALICE, BOB, CAROL = identity(1), identity(2), identity(3)
JSON = {"Content-Type": "application/json"}
OFFER = Sealed(bytes(OVERHEAD + STEP))
SHORT = Sealed(bytes(OVERHEAD + STEP - SHORTER))


class PresenceCase(SynchronousTestCase):
    """A registry with three peers."""

    def setUp(self) -> None:
        self.web = Web()

    def come(self, who: Any, **fields: Any) -> Connection:
        """Register, and open a stream."""
        self.web.register(who, "x", **fields)
        return self.web.subscribe(who, self.web.signed(who, Subscription()))

    def ask(self, *peer_ids: str, ip: str = "203.0.113.5") -> Response:
        """Ask who of some is online."""
        body = dumps({"peers": list(peer_ids)})
        return self.web.ask("POST", "/presence", body, JSON, ip=ip)

    def online(self, *peers: Any) -> list[str]:
        """Return who of some is online."""
        return list(self.ask(*(one.peer_id for one in peers)).json["online"])

    def send(self, author: Any, reader: Any, body: Sealed = OFFER) -> int:
        """Send a document; return the status of the answer."""
        token = self.web.signed(author, body, reader.peer_id)
        return self.web.post(f"/deliver/{reader.peer_id}", token).status


class PresenceTests(PresenceCase):
    """POST /presence."""

    def test_online(self) -> None:
        """Who has a stream is told, listed or not; who is only registered, or unknown, isn't."""
        self.come(ALICE, listed=False)
        self.web.register(BOB, "bob")
        self.assertEqual(self.online(ALICE, BOB, CAROL), [ALICE.peer_id])
        self.assertEqual(self.ask().json, {"online": []})
        self.assertEqual(self.ask(ALICE.peer_id.upper()).json["online"], [ALICE.peer_id])

    def test_left(self) -> None:
        """Whose stream or lease has ended isn't online any more."""
        stream = self.come(ALICE)
        stream.hang_up()
        self.assertEqual(self.online(ALICE), [])

    def test_refused(self) -> None:
        """What is no question, or too long a one, is refused."""
        for body, status in (
            (b"{}", 400),
            (b"[]", 400),
            (dumps({"peers": ["x"]}), 400),
            (dumps({"peers": [BOB.peer_id] * (MAX_ASKED + 1)}), 400),
        ):
            self.assertEqual(self.web.ask("POST", "/presence", body, JSON).status, status, body)
        self.assertEqual(self.web.ask("POST", "/presence", b"{}").status, 415)
        longest = [identity(number).peer_id for number in range(MAX_ASKED)]
        self.assertEqual(self.ask(*longest).status, 200)

    def test_bounded(self) -> None:
        """A stranger learns no more in a minute than looking up one by one would show."""
        asked = told = 0
        ids = [identity(number).peer_id for number in range(MAX_ASKED)]
        for _ in range(600):
            response = self.ask(*ids)
            asked += MAX_ASKED
            told += MAX_ASKED * (response.status == 200)
            if response.status != 200:
                self.assertEqual(response.reason, "too-many-requests")
                self.assertIn("retry-after", response.headers)
            self.web.clock.advance(0.1)
        self.assertGreater(asked, 100_000)
        self.assertLessEqual(told, PRESENCE.burst + 60 * PRESENCE.rate)
        self.assertEqual(self.ask(*ids, ip="203.0.113.6").status, 200)

    def test_counted(self) -> None:
        """The metrics have how many were asked about, and no id."""
        self.come(ALICE)
        self.online(ALICE, BOB, CAROL)
        text = self.web.registry.metrics.text().decode()
        self.assertIn('p2psignal_presence_total{outcome="online"} 1.0', text)
        self.assertIn('p2psignal_presence_total{outcome="absent"} 2.0', text)
        self.assertNotIn(ALICE.peer_id, text)


class InvisibleTests(PresenceCase):
    """Who doesn't want to be seen."""

    def test_not_shown(self) -> None:
        """No question shows one who is invisible, until he isn't any more."""
        self.come(ALICE, visible=False)
        self.web.register(BOB, "bob")
        self.assertEqual(self.online(ALICE), [])
        hidden = self.web.ask("GET", f"/peer/{ALICE.peer_id}")
        self.assertEqual((hidden.status, hidden.reason), (404, "unknown-peer"))
        names = [one["peer_id"] for one in self.web.ask("GET", "/peers").json["peers"]]
        self.assertEqual(names, [BOB.peer_id])
        self.assertEqual(self.send(BOB, ALICE), 404)
        self.web.register(ALICE, "alice")
        self.assertEqual(self.online(ALICE), [ALICE.peer_id])
        self.assertEqual(self.send(BOB, ALICE), 202)

    def test_told_apart(self) -> None:
        """Whoever writes to one gets the very answer that an unknown peer would give."""
        self.come(ALICE, visible=False)
        self.web.register(BOB, "bob")
        answers = []
        for reader in (ALICE, CAROL):
            token = self.web.signed(BOB, OFFER, reader.peer_id)
            response = self.web.post(f"/deliver/{reader.peer_id}", token)
            said = response.body.replace(reader.peer_id.encode(), b"ID")
            answers.append((response.status, said))
        self.assertEqual(answers[0], answers[1])

    def test_answers(self) -> None:
        """Whom an invisible one calls may answer, for a while; a refusal of its makes no way."""
        stream = self.come(ALICE, visible=False)
        self.come(BOB)
        self.assertEqual(self.send(ALICE, BOB, SHORT), 202)
        self.assertEqual(self.send(BOB, ALICE, SHORT), 404)
        self.assertEqual(self.send(ALICE, BOB), 202)
        self.assertEqual(self.send(BOB, ALICE, SHORT), 202)
        self.assertIn(b"event: document", stream.wire.value())
        self.assertEqual(self.online(ALICE), [])
