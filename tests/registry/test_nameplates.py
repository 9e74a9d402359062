"""Nameplates over HTTP: claimed, answered, completed, released; and every way to be refused."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.admission.rates import NAMEPLATES
from p2pchat.wire.documents import Body, Removal, Subscription
from p2pchat.wire.nameplates import Claim, Completion, PakeResponse, Release
from p2pchat.wire.strict_json import dumps
from tests.registry.web import ORIGIN, Response, Web, identity

ALICE, BOB = identity(1), identity(2)
PLACE = "a2b3c4d5e6f7g"
MESSAGE = b"A" + bytes(32)
TRY = PakeResponse(b"B" + bytes(32), bytes(32), b"sealed")
ANSWER = Completion(PLACE, bytes(32), b"sealed, too")
CLAIM, RELEASE = Claim(PLACE, MESSAGE, 60), Release(PLACE)
JSON = {"Content-Type": "application/json"}


class NameplateTests(SynchronousTestCase):
    """Alice is registered; whoever joins isn't."""

    def setUp(self) -> None:
        self.web = Web()
        self.web.register(ALICE)

    def assertRefused(self, response: Response, status: int, reason: str) -> None:
        """The answer is a problem document of this status and reason."""
        self.assertEqual((response.status, response.reason), (status, reason))

    def assertAnswered(self, response: Response, status: int, word: str) -> None:
        """It was done."""
        self.assertEqual((response.status, response.json), (status, {word: True}))

    def claim(self, body: Body = CLAIM, place: str = PLACE) -> Response:
        """Claim a nameplate for Alice."""
        return self.web.post(f"/claim/{place}", self.web.signed(ALICE, body))

    def respond(self, body: bytes = dumps(TRY.to_json()), place: str = PLACE) -> Response:
        """Leave a try."""
        return self.web.ask("POST", f"/respond/{place}", body, JSON)

    def complete(self, by: Any = ALICE, body: Body = ANSWER) -> Response:
        """Answer it."""
        return self.web.post(f"/complete/{PLACE}", self.web.signed(by, body))

    def release(self, by: Any = ALICE, body: Body = RELEASE) -> Response:
        """Take the nameplate away."""
        headers = {"Authorization": f"JWS {self.web.signed(by, body)}"}
        return self.web.ask("DELETE", f"/nameplate/{PLACE}", headers=headers)

    def look(self, place: str = PLACE, ip: str = "203.0.113.5") -> Response:
        """Look what is there."""
        return self.web.ask("GET", f"/nameplate/{place}", ip=ip)

    def test_whole(self) -> None:
        """From the claim to the release; whoever knows the name sees what stands there."""
        stream = self.web.subscribe(ALICE, self.web.signed(ALICE, Subscription()))
        self.assertAnswered(self.claim(), 200, "claimed")
        shown = self.look().json
        self.assertEqual((shown["origin"], shown["expires_in"]), (ORIGIN, 60))
        self.assertNotIn("response", shown)
        self.assertAnswered(self.respond(), 202, "responded")
        self.assertIn(f"event: nameplate\ndata: {PLACE}\n\n", bytes(stream.wire.value()).decode())
        self.assertAnswered(self.complete(), 202, "completed")
        shown = self.look().json
        self.assertEqual(PakeResponse.from_json(shown["response"]), TRY)
        self.assertEqual(Completion.from_json(shown["completion"]), ANSWER)
        self.assertAnswered(self.release(), 200, "released")
        self.assertRefused(self.look(), 404, "unknown-nameplate")

    def test_expires(self) -> None:
        """After its time it is nobody's."""
        self.claim()
        self.web.pass_time(59)
        self.web.register(ALICE)
        self.assertEqual(self.look().json["expires_in"], 1)
        self.web.pass_time(1)
        self.assertRefused(self.look(), 404, "unknown-nameplate")
        self.assertRefused(self.respond(), 404, "unknown-nameplate")
        self.assertRefused(self.complete(), 404, "unknown-nameplate")
        self.assertRefused(self.release(), 404, "unknown-nameplate")

    def test_claims(self) -> None:
        """A claim is of a registered peer, for a nameplate that is free, and not for too long."""
        stranger = self.web.signed(BOB, Claim(PLACE, MESSAGE, 60))
        self.assertRefused(self.web.post(f"/claim/{PLACE}", stranger), 403, "not-registered")
        self.assertRefused(self.claim(Claim("123456", MESSAGE, 60)), 400, "malformed")
        self.assertRefused(self.claim(Claim("123456", MESSAGE, 601), "123456"), 400, "malformed")
        self.assertAnswered(self.claim(Claim("123456", MESSAGE, 600), "123456"), 200, "claimed")
        self.assertRefused(self.claim(place="ABC"), 400, "malformed")
        self.assertRefused(self.claim(Removal()), 400, "wrong-type")
        self.claim()
        self.assertAnswered(self.claim(), 200, "claimed")
        taken = self.claim(Claim(PLACE, b"A" + b"x" * 32, 60))
        self.assertRefused(taken, 409, "nameplate-taken")

    def test_many(self) -> None:
        """A peer has 16."""
        for number in range(16):
            name = f"{number:06}"
            self.assertAnswered(self.claim(Claim(name, MESSAGE, 60), name), 200, "claimed")
        refused = self.claim()
        self.assertRefused(refused, 429, "too-many-nameplates")
        self.assertIn("retry-after", refused.headers)

    def test_full(self) -> None:
        """When there is no room for another, it is said so."""
        self.web.registry.store.nameplates.capacity = 0  # type: ignore[attr-defined]
        self.assertRefused(self.claim(), 503, "nameplates-full")

    def test_tries(self) -> None:
        """One try stays; it is JSON, and of the lengths that it must have."""
        self.claim()
        for bad in (b"", b"[]", b"{}", dumps({**TRY.to_json(), "message": "AAAA"})):
            self.assertEqual(self.respond(bad).status, 400, bad)
        kind = {"Content-Type": "text/plain"}
        refused = self.web.ask("POST", f"/respond/{PLACE}", dumps(TRY.to_json()), kind)
        self.assertRefused(refused, 415, "unsupported-media-type")
        self.respond()
        self.assertAnswered(self.respond(), 202, "responded")
        other = PakeResponse(b"B" + b"x" * 32, bytes(32), b"")
        self.assertRefused(self.respond(dumps(other.to_json())), 409, "nameplate-used")

    def test_answers(self) -> None:
        """The owner answers, once, and only what is there."""
        self.web.register(BOB)
        self.claim()
        self.assertRefused(self.complete(), 409, "nameplate-unanswered")
        self.respond()
        self.assertRefused(self.complete(BOB), 403, "not-yours")
        self.complete()
        self.assertAnswered(self.complete(), 202, "completed")
        self.assertRefused(self.complete(body=Completion(PLACE)), 409, "nameplate-used")
        self.assertRefused(self.release(BOB), 403, "not-yours")
        self.assertRefused(self.release(body=Release("123456")), 400, "malformed")

    def test_guesses(self) -> None:
        """Who asks for what isn't there is refused after a while; others aren't, nor who knows."""
        self.claim()
        burst = int(NAMEPLATES.burst)
        for number in range(burst):
            self.assertRefused(self.look(f"{number:06}"), 404, "unknown-nameplate")
        self.assertRefused(self.look(), 429, "too-many-requests")
        self.assertRefused(self.respond(), 429, "too-many-requests")
        for _ in range(2 * burst):
            self.assertEqual(self.look(ip="203.0.113.77").status, 200)
        self.web.pass_time(2)
        self.assertEqual(self.look().status, 200)

    def test_counted(self) -> None:
        """What is done is counted."""
        self.claim()
        self.respond()
        self.complete()
        self.release()
        text = self.web.registry.metrics.text().decode("ascii")
        for word in ("claimed", "responded", "completed", "released"):
            self.assertIn(f'p2psignal_nameplates_total{{outcome="{word}"}} 1.0', text)
