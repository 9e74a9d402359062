"""What stands between strangers and the registry, over HTTP."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.admission.control import INTERVAL, EventLoopLag
from p2pchat.registry.admission.load import EASE, GRACE
from p2pchat.registry.admission.proof_of_work import LIFETIME
from p2pchat.registry.admission.rates import Rate, Rates
from p2pchat.registry.registry import Settings
from p2pchat.wire.documents import Registration, Removal, Sealed, Subscription
from p2pchat.wire.problems import Problem
from p2pchat.wire.work import ALGORITHM, MIN_DIFFICULTY, Challenge, Work, search
from tests.registry.http.test_resource import ALICE, BOB, CAROL, ResourceCase
from tests.registry.web import Response, Web, identity

ELSEWHERE = "203.0.113.6"


class AddressTests(ResourceCase):
    """Rates by address."""

    def test_documents(self) -> None:
        """Too many documents from one address are refused, unread; another's aren't."""
        statuses = [self.web.post("/register", "x").status for _ in range(201)]
        self.assertEqual(set(statuses[:200]), {400})
        response = self.web.post("/register", "x")
        self.assertRefused(response, 429, "too-many-requests")
        self.assertEqual(response.headers["retry-after"], "1")
        for path in (f"/peer/{ALICE.peer_id}", f"/deliver/{ALICE.peer_id}"):
            method = "DELETE" if "peer" in path else "POST"
            self.assertRefused(self.web.ask(method, path), 429, "too-many-requests")
        self.assertEqual(self.web.post("/register", "x", ip=ELSEWHERE).status, 400)
        self.web.pass_time(1)
        self.assertEqual(self.web.post("/register", "x").status, 400)

    def test_reads(self) -> None:
        """Look-ups have tokens of their own: neither uses the other's up."""
        self.web = Web(Settings(rates=Rates(documents=Rate(1, 2), reads=Rate(1, 3))))
        paths = ("/peers", f"/peer/{ALICE.peer_id}", "/status")
        self.assertEqual([self.web.ask("GET", path).status for path in paths], [200, 404, 200])
        for path in paths:
            response = self.web.ask("GET", path)
            self.assertRefused(response, 429, "too-many-requests")
            self.assertEqual(response.headers["retry-after"], "2")
        self.assertEqual(self.web.ask("GET", "/peers", ip=ELSEWHERE).status, 200)
        self.assertEqual(self.web.register(ALICE).status, 200)

    def test_renewals(self) -> None:
        """A renewal, which no signature makes dear, takes a token of a look-up."""
        self.web = Web(Settings(rates=Rates(documents=Rate(1, 1), reads=Rate(1, 2))))
        shown = {"Authorization": f"Lease {self.web.register(ALICE).json['renewal']}"}
        statuses = [
            self.web.ask("POST", f"/renew/{ALICE.peer_id}", headers=shown).status for _ in range(3)
        ]
        self.assertEqual(statuses, [204, 204, 429])

    def test_one_network(self) -> None:
        """Addresses of one IPv6 /64 share tokens."""
        self.web = Web(Settings(rates=Rates(reads=Rate(1, 1))))
        for ip, status in (("2001:db8::1", 200), ("2001:db8::2", 429), ("2001:db8:0:1::1", 200)):
            self.assertEqual(self.web.ask("GET", "/peers", ip=ip).status, status)


class KeyTests(ResourceCase):
    """Rates by key, whatever the address."""

    def setUp(self) -> None:
        self.web = Web(Settings(rates=Rates(keys=Rate(1, 3))))

    def register(self, ip: str, token: str = "") -> Response:
        """Register Alice, from this address."""
        token = token or self.web.signed(ALICE, Registration("alice"))
        return self.web.post("/register", token, ip=ip)

    def test_key(self) -> None:
        """One key has so many documents taken, from however many addresses."""
        ips = [f"203.0.113.{number}" for number in range(5)]
        self.assertEqual([self.register(ip).status for ip in ips], [200, 200, 200, 429, 429])
        self.assertIn("your key", self.register(ips[0]).json["detail"])
        self.assertEqual(self.web.register(BOB).status, 200)
        self.web.pass_time(1)
        self.assertEqual(self.register(ips[0]).status, 200)

    def test_all_documents(self) -> None:
        """Every document that is taken counts."""
        self.web.register(ALICE)
        self.web.register(BOB)
        self.web.subscribe(ALICE, self.web.signed(ALICE, Subscription()))
        ringing = [self.web.signed(BOB, Sealed(bytes(64 + n)), ALICE.peer_id) for n in range(3)]
        answers = [self.web.post(f"/deliver/{ALICE.peer_id}", token).status for token in ringing]
        self.assertEqual(answers, [202, 202, 429])
        path = f"/peer/{ALICE.peer_id}"
        removed = self.authorized("DELETE", path, self.web.signed(ALICE, Removal()))
        self.assertEqual(removed.status, 200)
        self.assertRefused(self.register(ELSEWHERE), 429, "too-many-requests")

    def test_strangers_use_up_nothing(self) -> None:
        """Whoever shows another's document again, or forges one, takes nothing from that one."""
        token = self.web.signed(ALICE, Registration("alice"))
        self.register(ELSEWHERE, token)
        head, _, signature = token.split(".")
        forged = ".".join(
            (head, self.web.signed(ALICE, Registration("x")).split(".")[1], signature)
        )
        for _ in range(20):
            self.assertRefused(self.register(ELSEWHERE, token), 409, "replayed-document")
            self.assertRefused(self.register(ELSEWHERE, forged), 401, "bad-signature")
        self.assertEqual(self.register("203.0.113.7").status, 200)


class WorkTests(ResourceCase):
    """Work, under pressure and only then."""

    def setUp(self) -> None:
        self.web = self.make_web()

    def make_web(self, key: bytes = b"") -> Web:
        """Return a registry that has been there for a while."""
        web = Web(Settings(work_from=1.0, work_key=key))
        web.pass_time(int(GRACE))
        return web

    def flood(self, strangers: int = 10) -> None:
        """Let strangers register, more than a registry at rest takes."""
        for number in range(100, 100 + strangers):
            self.assertEqual(self.web.register(identity(number)).status, 200)

    def asked(self, response: Response) -> Challenge:
        """Return what a refusal asks for."""
        self.assertRefused(response, 429, "work-required")
        self.assertEqual(response.headers["retry-after"], str(LIFETIME))
        challenge = Problem.decode(response.body).work
        assert challenge is not None
        return challenge

    def work(self, who: Any, challenge: Challenge) -> Work:
        """Do the work."""
        found = search(challenge, who.peer_id, 0, 1 << 20)
        assert found is not None
        return found

    def test_stranger(self) -> None:
        """A stranger is asked for work, and registered with it."""
        self.flood()
        challenge = self.asked(self.web.register(ALICE))
        self.assertEqual(challenge.difficulty, MIN_DIFFICULTY)
        work = self.work(ALICE, challenge)
        self.assertEqual(self.web.register(ALICE, work=work).status, 200)
        self.assertEqual(self.web.register(ALICE).status, 200)

    def test_no_pressure(self) -> None:
        """At rest nobody works; work that is there all the same is ignored."""
        for who, work in ((ALICE, None), (BOB, Work(Challenge(ALGORITHM, bytes(16), 1, 1), 1))):
            self.assertEqual(self.web.register(who, work=work).status, 200)

    def test_known(self) -> None:
        """Who is registered renews without work; so does who left a while ago."""
        self.web.register(ALICE)
        self.web.register(BOB)
        token = self.web.signed(BOB, Removal())
        self.authorized("DELETE", f"/peer/{BOB.peer_id}", token)
        self.flood(8)
        self.asked(self.web.register(CAROL))
        for who in (ALICE, BOB):
            self.assertEqual(self.web.register(who).status, 200)

    def test_known_elsewhere(self) -> None:
        """Who is registered, though this process never saw it, is no stranger."""
        self.web.register(ALICE)
        other = self.make_web()
        other.registry.store = self.web.registry.store
        self.web, other = other, self.web
        self.flood()
        self.asked(self.web.register(BOB))
        self.assertEqual(self.web.register(ALICE).status, 200)

    def test_shared_secret(self) -> None:
        """Processes that share the secret take work for each other's challenges; others don't."""
        for second_key, status in ((b"shared", 200), (b"another", 429)):
            self.web = self.make_web(b"shared")
            self.flood()
            work = self.work(ALICE, self.asked(self.web.register(ALICE)))
            self.web = self.make_web(second_key)
            self.flood()
            self.assertEqual(self.web.register(ALICE, work=work).status, status)

    def test_bad_work(self) -> None:
        """Work that wasn't done is refused with a new challenge."""
        self.flood()
        challenge = self.asked(self.web.register(ALICE))
        self.asked(self.web.register(ALICE, work=Work(challenge, 0)))
        theirs = self.work(BOB, challenge)
        self.asked(self.web.register(BOB, work=theirs))

    def test_one_key_one_record(self) -> None:
        """The same work again buys nothing: its key is registered anyway."""
        self.flood()
        work = self.work(ALICE, self.asked(self.web.register(ALICE)))
        self.web.register(ALICE, work=work)
        before = self.web.ask("GET", "/status").json["peers_registered"]
        self.web.register(ALICE, work=work)
        self.assertEqual(self.web.ask("GET", "/status").json["peers_registered"], before)
        self.asked(self.web.register(BOB, work=work))

    def test_restart(self) -> None:
        """When a registry has just started, everybody comes back without work."""
        self.web = Web(Settings(work_from=1.0))
        self.flood(100)
        self.assertEqual(self.web.register(ALICE).status, 200)

    def test_over(self) -> None:
        """When the flood is over, strangers come in as before."""
        self.flood()
        self.asked(self.web.register(ALICE))
        self.web.pass_time(int(2 * EASE))
        self.assertEqual(self.web.register(ALICE).status, 200)

    def test_full_directory(self) -> None:
        """A refused flood can't fill the directory: without work nobody new comes in."""
        self.flood()
        for number in range(200, 240):
            self.asked(self.web.register(identity(number)))
        self.assertEqual(self.web.ask("GET", "/status").json["peers_registered"], 10)


class LagProbeTests(SynchronousTestCase):
    """A timer knows by how much it was missed."""

    def test_lag(self) -> None:
        """On time it is 0; late, it is the lateness of the last timer."""
        clock = Clock()
        probe = EventLoopLag(clock)
        probe.start()
        for passed, lag in ((INTERVAL, 0.0), (INTERVAL + 0.5, 0.5), (INTERVAL, 0.0)):
            clock.advance(passed)
            self.assertAlmostEqual(probe.seconds, lag)

    def test_stop(self) -> None:
        """Stopped, or never begun, it leaves no timer."""
        clock = Clock()
        probe = EventLoopLag(clock)
        probe.stop()
        probe.start()
        clock.advance(INTERVAL)
        probe.stop()
        self.assertEqual(clock.getDelayedCalls(), [])
