"""Mailboxes over HTTP: opened, filled, fetched, emptied; and every way to be refused."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.identity.signed_documents import open_document
from p2pchat.registry.admission.rates import MAILBOXES
from p2pchat.registry.mailbox.mailboxes import NEW
from p2pchat.registry.mailbox.uploads import MAX_OF_MAILBOX
from p2pchat.wire.base64url import encode_bytes
from p2pchat.wire.documents import Body, Subscription
from p2pchat.wire.mailbox import (
    DAY,
    KEPT,
    MAX_ENVELOPE,
    PERMIT_LASTS,
    PERMIT_SCHEME,
    PREKEY,
    TOKEN_SCHEME,
    DepositAnswer,
    Mail,
    MailAcknowledgement,
    MailboxState,
    MailboxTokens,
    MailFetch,
    PrekeyAnswer,
    Prekeys,
    credentials,
    envelope_name,
    token_hash,
)
from tests.registry.web import Connection, Response, Web, identity, in_memory, request_bytes

ALICE, BOB = identity(1), identity(2)
TOKEN, WRONG = b"t" * 32, b"w" * 32
ENVELOPE = b"e" * 2048
OCTETS = {"Content-Type": "application/octet-stream"}


class MailboxTests(SynchronousTestCase):
    """Alice is registered and has a mailbox; whoever leaves something isn't."""

    def setUp(self) -> None:
        self.web = Web(make_mailboxes=in_memory())
        self.web.register(ALICE)

    def assertRefused(self, response: Response, status: int, reason: str) -> None:
        """The answer is a problem document of this status and reason."""
        self.assertEqual((response.status, response.reason), (status, reason))

    def assertState(self, response: Response, state: MailboxState) -> None:
        """The owner is told the state of the mailbox."""
        self.assertEqual((response.status, response.json), (200, state.to_json()))

    def prekeys(self, lifetime: float = 30 * DAY, count: int = 50) -> Prekeys:
        """Return prekeys."""
        one_time = [bytes([number]) * 32 for number in range(count)]
        return Prekeys.of(b"x" * PREKEY, one_time, self.web.wall_time() + lifetime)

    def owner(self, word: str, body: Body, by: Any = ALICE, **more: Any) -> Response:
        """Post a document about Alice's mailbox."""
        return self.web.post(f"/{word}/{ALICE.peer_id}", self.web.signed(by, body), **more)

    def open(self, *tokens: bytes) -> None:
        """Open the mailbox."""
        self.assertState(self.owner("prekeys", self.prekeys()), MailboxState(0, 50, 0))
        hashes = tuple(token_hash(one) for one in tokens or (TOKEN,))
        allowed = self.owner("mailbox", MailboxTokens(hashes))
        self.assertState(allowed, MailboxState(0, 50, len(hashes)))

    def ask(self, token: bytes = TOKEN, peer: Any = ALICE, ip: str = "203.0.113.9") -> Response:
        """Ask for prekeys."""
        shown = {"Authorization": credentials(TOKEN_SCHEME, token)}
        return self.web.ask("POST", f"/prekey/{peer.peer_id}", headers=shown, ip=ip)

    def permit(self, token: bytes = TOKEN) -> bytes:
        """Return a permit."""
        return PrekeyAnswer.from_json(self.ask(token).json).permit

    def deposit(
        self,
        envelope: bytes = ENVELOPE,
        permit: bytes | None = None,
        replaces: bytes = b"",
        peer: Any = ALICE,
    ) -> Response:
        """Leave an envelope."""
        permit = self.permit() if permit is None else permit
        headers = {**OCTETS, "Authorization": credentials(PERMIT_SCHEME, permit)}
        query = f"?replaces={encode_bytes(replaces)}" if replaces else ""
        return self.web.ask("POST", f"/mail/{peer.peer_id}{query}", envelope, headers)

    def fetch(self, by: Any = ALICE) -> Response:
        """Fetch what is in Alice's mailbox."""
        headers = {"Authorization": f"JWS {self.web.signed(by, MailFetch())}"}
        return self.web.ask("GET", f"/mail/{ALICE.peer_id}", headers=headers)

    def test_whole(self) -> None:
        """From prekeys to what is fetched and deleted; each side is told what it must know."""
        self.assertIsNone(self.web.register(ALICE).json["mailbox"])
        self.open()
        stream = self.web.subscribe(ALICE, self.web.signed(ALICE, Subscription()))
        answer = PrekeyAnswer.from_json(self.ask().json)
        document = open_document(answer.prekeys)
        self.assertEqual((document.issuer, answer.one_time), (ALICE.peer_id, 0))
        kept = self.deposit(permit=answer.permit)
        self.assertEqual(kept.status, 202)
        expected = DepositAnswer(envelope_name(ENVELOPE), KEPT)
        self.assertEqual(DepositAnswer.from_json(kept.json), expected)
        told = 'event: mail\ndata: {"waiting":1,"one_time":49,"tokens":1}\n\n'
        self.assertIn(told, bytes(stream.wire.value()).decode())
        state = MailboxState(1, 49, 1)
        self.assertEqual(self.web.register(ALICE).json["mailbox"], state.to_json())
        mail = Mail.decode(self.fetch().body)
        self.assertEqual(mail, Mail(state, (ENVELOPE,)))
        names = MailAcknowledgement((envelope_name(ENVELOPE),))
        self.assertState(self.owner("acknowledge", names), MailboxState(0, 49, 1))
        self.assertEqual(Mail.decode(self.fetch().body).envelopes, ())

    def test_feature(self) -> None:
        """Whoever asks is told that there are mailboxes; where there are none, all say so."""
        self.assertIn("mailbox", self.web.ask("GET", "/status").json["features"])
        self.web = Web()
        registered = self.web.register(ALICE).json
        self.assertNotIn("mailbox", [*registered, *registered["features"]])
        for refused in (
            self.owner("prekeys", self.prekeys()),
            self.owner("mailbox", MailboxTokens(())),
            self.owner("acknowledge", MailAcknowledgement(())),
            self.ask(),
            self.deposit(permit=bytes(40)),
            self.fetch(),
        ):
            self.assertRefused(refused, 403, "no-mailboxes")

    def test_replaces(self) -> None:
        """An envelope takes the place of another; what is no name is refused."""
        self.open()
        self.deposit()
        self.assertEqual(self.deposit(b"f" * 2048, replaces=envelope_name(ENVELOPE)).status, 202)
        self.assertEqual(Mail.decode(self.fetch().body).envelopes, (b"f" * 2048,))
        self.assertRefused(self.deposit(b"g" * 2048, replaces=b"short"), 400, "malformed")

    def test_owners_alone(self) -> None:
        """Documents are the owner's, who is registered, fresh, new, and of the right type."""
        self.open()
        for word in ("prekeys", "mailbox", "acknowledge"):
            self.assertRefused(self.owner(word, Subscription()), 400, "wrong-type")
        names = MailAcknowledgement(())
        self.assertRefused(self.owner("acknowledge", names, BOB), 403, "not-yours")
        self.assertRefused(self.fetch(BOB), 403, "not-yours")
        old = self.web.signed(ALICE, names, age=400)
        path = f"/acknowledge/{ALICE.peer_id}"
        self.assertRefused(self.web.post(path, old), 401, "stale-document")
        fresh = self.web.signed(ALICE, names)
        self.assertEqual(self.web.post(path, fresh).status, 200)
        self.assertRefused(self.web.post(path, fresh), 409, "replayed-document")
        self.web.pass_time(61)
        self.assertRefused(self.fetch(), 403, "not-registered")

    def test_no_mailbox(self) -> None:
        """An owner who has none, after a restart of the registry, is told so."""
        self.assertRefused(self.owner("mailbox", MailboxTokens(())), 404, "no-mailbox")
        self.assertRefused(self.fetch(), 404, "no-mailbox")
        names = MailAcknowledgement((bytes(16),))
        self.assertRefused(self.owner("acknowledge", names), 404, "no-mailbox")

    def test_lifetimes(self) -> None:
        """Prekeys last 35 days at most, and nothing is given to whom they have ended."""
        for lifetime in (0.0, 35 * DAY + 1.0):
            refused = self.owner("prekeys", self.prekeys(lifetime))
            self.assertRefused(refused, 400, "malformed")
        self.owner("prekeys", self.prekeys(60.0))
        self.owner("mailbox", MailboxTokens((token_hash(TOKEN),)))
        self.web.pass_time(61)
        self.assertRefused(self.ask(), 409, "no-prekeys")
        self.web.register(ALICE)
        older = self.web.signed(ALICE, MailboxTokens(()), age=200)
        path = f"/mailbox/{ALICE.peer_id}"
        self.assertRefused(self.web.post(path, older), 409, "superseded")

    def test_tokens(self) -> None:
        """An unknown mailbox, an unknown token and a dropped one: the same answer, to the byte."""
        self.open(TOKEN, WRONG)
        permit = self.permit(WRONG)
        self.owner("mailbox", MailboxTokens((token_hash(TOKEN),)))
        answers = {self.ask(b"unknown".ljust(32)).body, self.ask(WRONG).body}
        answers |= {self.ask(TOKEN, BOB).body, self.deposit(permit=permit).body}
        self.assertEqual(len(answers), 1)
        self.assertRefused(self.ask(WRONG), 404, "unknown-mailbox")
        shown = {"Authorization": "Mailbox short"}
        malformed = self.web.ask("POST", f"/prekey/{ALICE.peer_id}", headers=shown)
        self.assertRefused(malformed, 400, "malformed")
        unsigned = self.web.ask("POST", f"/prekey/{ALICE.peer_id}")
        self.assertRefused(unsigned, 401, "unsigned")

    def test_guesses(self) -> None:
        """Whoever shows many that aren't good must wait; who shows good ones need not."""
        self.open()
        for _ in range(int(MAILBOXES.burst)):
            self.assertEqual(self.ask().status, 200)
            self.assertRefused(self.ask(WRONG), 404, "unknown-mailbox")
        self.assertRefused(self.ask(WRONG), 429, "too-many-requests")
        self.assertEqual(self.ask(ip="203.0.113.10").status, 200)

    def test_permits(self) -> None:
        """A permit is for one mailbox and some minutes; nothing else lets an envelope in."""
        self.open()
        permit = self.permit()
        self.assertRefused(self.deposit(permit=permit, peer=BOB), 401, "permit-expired")
        forged = permit[:-1] + bytes([permit[-1] ^ 1])
        for wrong in (forged, b"", bytes(40), TOKEN):
            self.assertRefused(self.deposit(permit=wrong), 401, "permit-expired")
        path = f"/mail/{ALICE.peer_id}"
        for headers in (OCTETS, {**OCTETS, "Authorization": f"Mailbox {encode_bytes(permit)}"}):
            self.assertRefused(self.web.ask("POST", path, ENVELOPE, headers), 401, "permit-expired")
        headers = {**OCTETS, "Authorization": "Permit =="}
        self.assertRefused(self.web.ask("POST", path, ENVELOPE, headers), 400, "malformed")
        nowhere = {**OCTETS, "Authorization": credentials(PERMIT_SCHEME, permit)}
        malformed = self.web.ask("POST", "/mail/nobody", ENVELOPE, nowhere)
        self.assertRefused(malformed, 400, "malformed")
        self.web.pass_time(int(PERMIT_LASTS) + 1)
        self.assertRefused(self.deposit(permit=permit), 401, "permit-expired")

    def test_sizes(self) -> None:
        """An envelope has its sizes, and its type; what is longer isn't even read."""
        self.open()
        self.assertEqual(self.deposit(b"l" * MAX_ENVELOPE).status, 202)
        self.assertRefused(self.deposit(b"l" * (MAX_ENVELOPE + 1)), 413, "body-too-large")
        self.assertRefused(self.deposit(b"l" * 1023), 400, "malformed")
        headers = {"Authorization": credentials(PERMIT_SCHEME, self.permit())}
        untyped = self.web.ask("POST", f"/mail/{ALICE.peer_id}", ENVELOPE, headers)
        self.assertRefused(untyped, 415, "unsupported-media-type")

    def test_quota(self) -> None:
        """Whose token has enough in the mailbox is told the figures."""
        self.open()
        for number in range(4):
            self.assertEqual(self.deposit(bytes([number]) * MAX_ENVELOPE).status, 202)
        refused = self.deposit()
        self.assertRefused(refused, 409, "token-full")
        self.assertIn("100 envelopes and 262144 bytes", refused.json["detail"])

    def test_bytes(self) -> None:
        """By one token so many bytes come in a time, even if each replaces the last."""
        self.open()
        permit, last = self.permit(), b""
        for number in range(8):
            envelope = bytes([number]) * MAX_ENVELOPE
            self.assertEqual(self.deposit(envelope, permit, last).status, 202)
            last = envelope_name(envelope)
        refused = self.deposit(b"x" * MAX_ENVELOPE, permit, last)
        self.assertRefused(refused, 429, "too-many-requests")
        self.assertEqual(refused.headers["retry-after"], "9")

    def test_full(self) -> None:
        """Where all mailboxes together have no room it is said, and when to come again."""
        self.web = Web(make_mailboxes=in_memory(64 * 4096))
        self.web.register(ALICE)
        self.open()
        statuses = [self.deposit(bytes([number]) * 60_000) for number in range(4)]
        self.assertRefused(statuses[-1], 503, "mailboxes-full")
        self.assertIn("retry-after", statuses[-1].headers)
        self.assertEqual(self.fetch().status, 200)

    def test_new(self) -> None:
        """One address makes so many mailboxes and no more; whoever has one has it anew."""
        for number in range(int(NEW.burst)):
            owner = identity(100 + number)
            self.web.register(owner)
            path, body = f"/prekeys/{owner.peer_id}", self.prekeys()
            self.assertEqual(self.web.post(path, self.web.signed(owner, body)).status, 200)
            self.web.clock.advance(0.1)
        refused = self.owner("prekeys", self.prekeys())
        self.assertRefused(refused, 429, "too-many-requests")
        self.assertEqual(self.owner("prekeys", self.prekeys(), ip="203.0.113.77").status, 200)
        self.assertEqual(self.owner("prekeys", self.prekeys()).status, 200)

    def test_counted(self) -> None:
        """The figures are there for the operator, without a name."""
        self.open()
        self.deposit()
        self.web.pass_time(20)
        text = self.web.ask("GET", "/metrics", ip="127.0.0.1").body.decode()
        for line in (
            "p2psignal_mailboxes 1.0",
            "p2psignal_envelopes 1.0",
            "p2psignal_uploads 0.0",
            'p2psignal_mail_total{outcome="kept"} 1.0',
            'p2psignal_mail_total{outcome="given"} 1.0',
        ):
            self.assertIn(line, text)
        self.assertNotIn(ALICE.peer_id, text)


class UploadTests(SynchronousTestCase):
    """Bodies that are on their way."""

    def setUp(self) -> None:
        self.tests = MailboxTests()
        self.tests.setUp()
        self.tests.open()
        self.web = self.tests.web

    def begin(self, permit: bytes, sent: bytes = b"", ip: str = "203.0.113.5") -> Connection:
        """Begin to upload an envelope."""
        connection = self.web.connect(ip)
        shown = credentials(PERMIT_SCHEME, permit)
        length = str(MAX_ENVELOPE)
        headers = {**OCTETS, "Authorization": shown, "Content-Length": length}
        connection.send(request_bytes("POST", f"/mail/{ALICE.peer_id}", headers=headers) + sent)
        return connection

    def uploads(self) -> int:
        """Return how many there are."""
        assert self.web.registry.mailboxes is not None
        return len(self.web.registry.mailboxes.uploads)

    def test_stranger(self) -> None:
        """Who has no permit is told before a byte is kept, and can't send as much."""
        connection = self.begin(bytes(40), b"x" * 1000)
        self.assertEqual(connection.response().status, 401)
        self.assertEqual(self.uploads(), 0)

    def test_many(self) -> None:
        """So many are on their way to one mailbox; one more is told to come again."""
        permit = self.tests.permit()
        begun = [
            self.begin(permit, b"x" * 1000, f"203.0.113.{number}")
            for number in range(MAX_OF_MAILBOX)
        ]
        refused = self.begin(permit, ip="203.0.113.99").response()
        self.assertEqual((refused.status, refused.reason), (503, "too-many-uploads"))
        begun[0].hang_up()
        begun[1].send(b"x" * (MAX_ENVELOPE - 1000))
        self.assertEqual(begun[1].response().status, 202)
        self.assertEqual(self.uploads(), MAX_OF_MAILBOX - 2)

    def test_fetches(self) -> None:
        """What an owner fetches and doesn't read takes so much memory, and is given up in time."""
        for number in range(2):
            self.tests.deposit(bytes([number]) * MAX_ENVELOPE)
        assert self.web.registry.mailboxes is not None
        fetches = self.web.registry.mailboxes.fetches
        unread = [self.fetch_unread() for _ in range(2)]
        self.assertEqual(len(fetches), 2)
        refused = self.tests.fetch()
        self.assertEqual((refused.status, refused.reason), (503, "too-many-fetches"))
        unread[0].drain()
        self.assertEqual(len(fetches), 1)
        self.assertEqual(self.tests.fetch().status, 200)
        self.web.pass_time(40)
        self.assertTrue(unread[1].wire.aborted)
        self.assertEqual(len(fetches), 0)

    def fetch_unread(self) -> Connection:
        """Fetch on a connection that takes no more than a first part."""
        connection = self.web.connect()
        write = connection.wire.write

        def written(data: bytes) -> None:
            write(data)
            if len(connection.wire.value()) > MAX_ENVELOPE:
                connection.fill()

        connection.wire.write = written  # type: ignore[method-assign]
        headers = {"Authorization": f"JWS {self.web.signed(ALICE, MailFetch())}"}
        connection.send(request_bytes("GET", f"/mail/{ALICE.peer_id}", headers=headers))
        return connection

    def test_slow(self) -> None:
        """One that doesn't come to its end gives its room back."""
        connection = self.begin(self.tests.permit(), b"x")
        self.assertEqual(self.uploads(), 1)
        self.web.pass_time(25)
        self.assertTrue(connection.wire.aborted)
        self.assertEqual(self.uploads(), 0)
