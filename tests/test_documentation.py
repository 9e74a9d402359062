"""
What the documentation says is what the program does: every option, command, event, reason and
type is there, and the test vectors of ``docs/protocol.rst`` come out of the code.
"""

from __future__ import annotations

import ast
import hmac
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import get_args
from uuid import UUID

import attrs
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from qh3.quic.crypto import derive_key_iv_hp
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from benchmarks import million
from p2pchat.errors import BadSignature
from p2pchat.identity.entry_signatures import entry_statement
from p2pchat.identity.exchange import AttemptSecrets, Exchange, PeerIds
from p2pchat.identity.keys import Identity, peer_id_octets
from p2pchat.identity.proof import check_proof, make_proof
from p2pchat.identity.sealing import Envelope, SealingKey
from p2pchat.identity.signed_documents import MAX_DOCUMENT, Acceptance, open_document
from p2pchat.natcheck.report import NatCheck
from p2pchat.peer import event_stream, request_times
from p2pchat.peer.registry_connection import FIRST_WAIT, LONGEST_WAIT
from p2pchat.peer.resolver import MAX_URLS
from p2pchat.registry import event_streams
from p2pchat.registry.admission import load, proof_of_work, rates
from p2pchat.registry.admission.load import SHARE, LoadMeter
from p2pchat.registry.admission.proof_of_work import LIFETIME, ProofOfWork
from p2pchat.registry.http import connections, site, web_service
from p2pchat.registry.refusals import Refused
from p2pchat.registry.registry import Settings
from p2pchat.registry.relay_credentials import RelayCredentials
from p2pchat.registry.store import redis, redis_link
from p2pchat.registry.store.directory import MAX_RECORDS
from p2pchat.registry.stun import binding_server
from p2pchat.session import (
    call,
    conversation,
    flight,
    link,
    live_link,
    liveness,
    peer_session,
    qh3_connection,
    quic,
    quic_secrets,
    receipts,
    streams,
)
from p2pchat.session.callers import MAX_STRANGERS
from p2pchat.session.connection_report import (
    Advice,
    ConnectionReport,
    Diagnosis,
    Ending,
    Note,
    PathReport,
    Reason,
)
from p2pchat.session.retry_after import JITTER
from p2pchat.tap import node_options, p2ppeer, p2psignal
from p2pchat.traversal import (
    agent,
    checks,
    filtering_test,
    gathering,
    keepalive,
    pairs,
    path_hint,
    port_guessing,
    punching,
    relays,
    selection,
    strategy,
)
from p2pchat.traversal.checks import CheckCredentials
from p2pchat.traversal.path_hint import PathMethod
from p2pchat.traversal.report import (
    AttemptReport,
    GuessingReport,
    NatReport,
    PairReport,
    RelayReport,
)
from p2pchat.ui.commands import USAGE
from p2pchat.wire import cbor, entries, messages, stun
from p2pchat.wire.addresses import format_address
from p2pchat.wire.documents import (
    MAX_CANDIDATES,
    Body,
    CandidateType,
    Description,
    NatWords,
    Offer,
    Ringing,
    Sealed,
    write_peer_body,
)
from p2pchat.wire.problems import MAX_RETRY_AFTER
from p2pchat.wire.servers import LongTermCredential
from p2pchat.wire.strict_json import loads
from p2pchat.wire.work import ALGORITHM, MAX_DIFFICULTY, MIN_DIFFICULTY, Challenge, Work, search
from tests.pages import ROOT, literal_after, page, vectors
from tests.registry.web import Web, in_memory
from tests.traversal.attempt_ends import MAX_PACKET
from tests.ui.fake_node import EVENTS, RESULTS


def option_rows() -> list[list[str | None]]:
    """Return name, letter and more of each option of the commands."""
    commands = (p2psignal.Options, p2ppeer.Options, node_options.NodeOptions)
    rows = [
        row
        for command in commands
        for rows in ("optParameters", "optFlags")
        for row in getattr(command, rows, ())
    ]
    return [*rows, ["public-url", "u"], ["server", "s"]]  # methods, because they may be repeated


def refusal_reasons() -> set[str]:
    """Return the reasons in the registry's source: what stands after an HTTP error status."""
    found = set()
    for file in (ROOT / "p2pchat" / "registry").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            given = node.args if isinstance(node, ast.Call) else getattr(node, "elts", [])
            match given[:2]:
                case [ast.Constant(value=int(status)), ast.Constant(value=str(reason))]:
                    found |= {(status, reason)} if 400 <= status < 600 else set()
    return {f"{status}     ``{reason}``" for status, reason in found}


class CompletenessTests(SynchronousTestCase):
    """Nothing that a person, a bot or another implementation meets goes unsaid."""

    def assert_says(self, name: str, wanted: set[str]) -> None:
        """Fail with what a page leaves out."""
        self.assertTrue(wanted)
        text = page(name)
        missing = sorted(one for one in wanted if one not in text)
        self.assertEqual(missing, [], f"docs/{name}.rst leaves out {missing}")

    def test_options(self) -> None:
        """Each option of both commands, with its letter, begins an entry of running.rst."""
        terms = [line for line in page("running").splitlines() if line.startswith("``--")]
        for row in option_rows():
            entry = [term for term in terms if re.match(rf"``--{row[0]}[ `]", term)]
            self.assertTrue(entry, f"docs/running.rst leaves out --{row[0]}")
            if row[1] is not None:
                self.assertTrue(any(f"``-{row[1]}``" in term for term in entry), entry)

    def test_no_invented_options(self) -> None:
        """No option is described that doesn't exist."""
        named = set(re.findall(r"^``--([a-z-]+)", page("running"), re.MULTILINE))
        self.assertEqual(named - {str(row[0]) for row in option_rows()}, {"version"})

    def test_commands(self) -> None:
        """Each command of the console is described."""
        self.assert_says("running", {f"``{usage}``" for usage, _ in USAGE})

    def test_events(self) -> None:
        """Each object of the JSON lines, and each of its members, is described."""
        kinds = [*EVENTS, *RESULTS]
        self.assert_says("json", {f"``{kind.NAME}``" for kind in kinds})
        self.assert_says("json", {f"``{NatCheck.NAME}``"})
        members = {one.name for kind in kinds for one in attrs.fields(kind)}
        self.assert_says("json", {f"``{member}``" for member in members})

    def test_facts(self) -> None:
        """Each member of the facts of ``/why``, and each word of the verdict, is described."""
        kinds = (
            ConnectionReport,
            Ending,
            Note,
            PathReport,
            *(AttemptReport, NatReport, PairReport, GuessingReport, RelayReport),
        )
        members = {member for kind in (*kinds, Diagnosis) for member in kind.__annotations__}
        words = {one.value for enum in (Reason, Advice, PathMethod) for one in enum}
        self.assert_says("json", {f"``{word}``" for word in members | words})

    def test_refusals(self) -> None:
        """Each status and reason of the registry stands in the table."""
        reasons = refusal_reasons()
        self.assertGreater(len(reasons), 15)
        self.assert_says("protocol", reasons)

    def test_metrics(self) -> None:
        """Each figure of ours that Prometheus reads is described, and no other."""
        text = Web(make_mailboxes=in_memory()).ask("GET", "/metrics", ip="127.0.0.1").body.decode()
        shown = set(re.findall(r"^# TYPE (p2psignal_\w+)(?<!_created) ", text, re.M))
        self.assertEqual(set(re.findall(r"^``(p2psignal_\w+)``", page("operating"), re.M)), shown)

    def test_capacity(self) -> None:
        """The table is what the model says, and the sentences have its inputs."""
        inputs = million.Inputs()
        self.assert_says("capacity", {million.table(inputs, (60.0, 300.0, 900.0))})
        text = " ".join(page("capacity").split())
        for sentence in (
            f"{inputs.arrivals:g} times a day, and calls somebody {inputs.calls:g} times",
            f"sends {inputs.documents:g} documents",
            f"{inputs.most_streams:,} event streams each",
            f"registration, {inputs.register:g} microseconds; subscription, {inputs.subscribe:g}",
            f"passed on, {inputs.deliver:g}; look-up, {inputs.look_up:g}; "
            f"renewal, {inputs.renew:g}",
            f"connection for requests, {inputs.connect:g}; a second of holding an event stream, "
            f"{inputs.hold:g}",
            f"system's included, {inputs.redis_script:g}",
            f"nobody uses, {inputs.process:g} MiB",
            f"event stream, {inputs.stream:g} KiB, and for an idle connection, "
            f"{inputs.connection:g} KiB",
            f"a peer, {inputs.redis_record:,.0f} bytes, and for a used document, "
            f"{inputs.redis_nonce:g}",
            f"needs {inputs.kernel:g} KiB for a connection",
        ):
            self.assertIn(sentence, text)

    def test_unit(self) -> None:
        """systemd finds nothing wrong with the unit, and takes it for well closed in."""
        program = shutil.which("systemd-analyze")
        if program is None:
            raise SkipTest("needs systemd-analyze")
        text = (ROOT / "docs" / "p2psignal.service").read_text(encoding="utf-8")
        unit = Path(self.mktemp()).resolve() / "p2psignal.service"
        unit.parent.mkdir()
        unit.write_text(text.replace("/opt/p2pchat/bin/twistd", sys.executable), encoding="utf-8")
        for words in (["verify"], ["security", "--offline=true", "--threshold=15"]):
            command = [program, *words, str(unit)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_stopping(self) -> None:
        """The times of stopping are those of the code, and the unit waits for them."""
        text = " ".join(page("operating").split())
        for sentence in (
            f"finished within {web_service.PATIENCE:g} seconds",
            f"{web_service.GOODBYES} a second, all within {web_service.LONGEST_GOODBYE:g} seconds",
            f"between {FIRST_WAIT / 2:g} and {FIRST_WAIT * 1.5:g} sec",
        ):
            self.assertIn(sentence, text)
        unit = (ROOT / "docs" / "p2psignal.service").read_text(encoding="utf-8")
        (patience,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.M)
        most = web_service.LONGEST_GOODBYE + web_service.PATIENCE
        self.assertGreater(int(patience), most + web_service.FLUSH)

    def test_types(self) -> None:
        """Each type of document, message and candidate, with each member, is described."""
        kinds = [*get_args(Body), *get_args(messages.ControlMessage)]
        self.assert_says("protocol", {f"``{kind.TYPE}``" for kind in kinds})
        self.assert_says("protocol", {f"``{kind.value}``" for kind in CandidateType})
        tables = re.findall(
            r"^    ([a-z_]+)  +(?:string|bytes|list|integer|time|boolean|object)",
            page("protocol"),
            re.M,
        )
        inline = {"session", "number", "offset", "kind", "of", "description"}
        values = [*kinds, messages.Opening, Description, NatWords]
        members = {member for value in values for member in value.__annotations__}
        self.assertEqual(members - {*tables, *inline, "TYPE", "OCTETS"}, set())


class VectorTests(SynchronousTestCase):
    """Whoever writes another implementation can rely on the numbers of the page."""

    def setUp(self) -> None:
        self.page = page("protocol")
        self.given = vectors(self.page)
        self.first = Identity.from_seed(self.bytes("first seed"))
        self.second = Identity.from_seed(self.bytes("second seed"))

    def bytes(self, name: str) -> bytes:
        """Return a value as bytes."""
        return bytes.fromhex(self.given[name])

    def test_identities(self) -> None:
        """Seed, public key, hash and peer id belong together."""
        for name, identity in (("first", self.first), ("second", self.second)):
            self.assertEqual(identity.public_key, self.bytes(f"{name} public key"))
            digest = sha256(identity.public_key).digest()
            self.assertEqual(digest, self.bytes(f"{name} hash"))
            self.assertEqual(identity.peer_id, self.given[f"{name} peer id"])

    def document(self) -> str:
        """Return the example."""
        return re.sub(
            r"\s", "", literal_after(self.page, "and the document, with its lines joined")
        )

    def test_document(self) -> None:
        """The example is signed, acceptable to whom it is for, and has inside what is shown."""
        document = open_document(self.document())
        self.assertEqual(document.issuer, self.first.peer_id)
        acceptance = Acceptance(frozenset({self.second.peer_id}), lambda: 0.0)
        acceptance.accept(document, document.issued_at)
        outside = loads(literal_after(self.page, "The JSON of the payload is").encode())
        assert isinstance(document.body, Sealed)
        ciphertext = document.body.ciphertext
        self.assertEqual(document.to_json(), {**outside, "ciphertext": ciphertext})
        key = SealingKey.from_seed(self.bytes("sealing private key"))
        envelope = Envelope(document.issuer, document.audience, document.nonce)
        body = key.open(document.body, envelope)
        shown = loads(literal_after(self.page, "Inside is").encode())
        self.assertEqual(write_peer_body(body), shown)
        self.assertEqual(cbor.dumps(shown), self.bytes("offer in few bytes"))
        assert isinstance(body, Offer)
        said = [
            (one.type.value, format_address(one.address)) for one in body.description.candidates
        ]
        self.assertEqual(said, [("host", "192.168.1.7:40000"), ("srflx", "203.0.113.7:40000")])
        self.assertEqual(body.session, self.given["session"])
        self.assertEqual(body.description.exchange, self.bytes("offer public key"))
        self.assertEqual(body.description.ufrag, self.given["offer fragment"])

    def test_changed_document(self) -> None:
        """The check isn't vacuous: another signature fails."""
        head, payload, signature = self.document().split(".")
        changed = ("A" if signature[0] != "A" else "B") + signature[1:]
        self.assertRaises(BadSignature, open_document, f"{head}.{payload}.{changed}")

    def test_sealing(self) -> None:
        """What is sealed to the second identity's key opens with it, in its document alone."""
        key = SealingKey.from_seed(self.bytes("sealing private key"))
        self.assertEqual(key.record_key.key, self.given["sealing public key"])
        name = self.given["name of document"]
        envelope = Envelope(self.first.peer_id, self.second.peer_id, name)
        self.assertEqual(envelope.info(), self.bytes("info"))
        opened = key.open(Sealed(self.bytes("sealed ringing")), envelope)
        self.assertEqual(opened, Ringing(self.given["session"]))

    def test_exchange(self) -> None:
        """Both sides derive the same secrets."""
        offering = Exchange.from_seed(self.bytes("offer private key"))
        answering = Exchange.from_seed(self.bytes("answer private key"))
        self.assertEqual(offering.public_key, self.bytes("offer public key"))
        self.assertEqual(answering.public_key, self.bytes("answer public key"))
        other = X25519PublicKey.from_public_bytes(answering.public_key)
        self.assertEqual(offering.private_key.exchange(other), self.bytes("secret"))
        session, forth = self.given["session"], PeerIds(self.first.peer_id, self.second.peer_id)
        secrets = AttemptSecrets(self.bytes("key"), self.bytes("handshake secret"))
        self.assertEqual(offering.secrets(answering.public_key, session, forth, True), secrets)
        back = PeerIds(forth.remote, forth.local)
        self.assertEqual(answering.secrets(offering.public_key, session, back, False), secrets)

    def test_initial_keys(self) -> None:
        """The handshake secret makes the first id and the keys of the Initial packets."""
        secret = self.bytes("handshake secret")
        self.assertEqual(quic_secrets.connection_id(secret), self.bytes("connection id"))
        for role in ("client", "server"):
            traffic = quic_secrets.initial_secret(secret, role)
            self.assertEqual(traffic, self.bytes(f"{role} initial secret"))
            keys = derive_key_iv_hp(cipher_suite=qh3_connection.SUITE, secret=traffic, version=1)
            given = tuple(self.bytes(f"{role} initial {name}") for name in ("key", "iv", "hp"))
            self.assertEqual(keys, given)

    def check(self, name: str, nominating: bool) -> str:
        """Return the first check that the offering side sends with this transaction id."""
        offer, answer = self.given["offer fragment"], self.given["answer fragment"]
        credentials = CheckCredentials(offer, answer, self.bytes("key"))
        identifier, number = self.bytes(name), int(nominating)
        return credentials.request(identifier, False, number, nominating).hex()

    def test_check(self) -> None:
        """The check and its response are those of the key, byte for byte."""
        key = self.bytes("key")
        self.assertEqual(self.check("transaction id", False), self.given["check"])
        self.assertEqual(self.check("nomination id", True), self.given["nomination"])
        read = stun.decode(self.bytes("check"))
        self.assertTrue(read.integrity_holds(key))
        response = stun.success(read, XOR_MAPPED_ADDRESS=("203.0.113.7", 40000))
        self.assertEqual(stun.encode(response, key, fingerprint=True), self.bytes("response"))

    def test_proof(self) -> None:
        """Binding and proof come from the traffic secret and the first identity."""
        binding = quic_secrets.channel_binding(self.bytes("traffic secret"))
        self.assertEqual(binding, self.bytes("binding"))
        reader = self.second.peer_id
        proof = make_proof(self.first, "client", binding, reader)
        self.assertEqual(proof.signature, self.bytes("signature"))
        self.assertEqual(self.first.sign(self.bytes("signed bytes")), proof.signature)
        check_proof(proof, self.first.peer_id, "client", binding, reader)

    def test_entry(self) -> None:
        """The entry is the first identity's, and what the page says of it is true."""
        one, two = (peer_id_octets(who.peer_id) for who in (self.first, self.second))
        conversation_id = entries.conversation_id(one, two)
        self.assertEqual(conversation_id, self.bytes("conversation id"))
        data = self.bytes("entry")
        read = entries.LogEntry.decode(data)
        self.assertEqual((read.conversation, read.author, read.person), (conversation_id, one, one))
        self.assertEqual(read.log, self.bytes("entry log"))
        self.assertEqual((entries.read_text(read.body), read.sent_at), ("hé", 1800000000250000))
        self.assertEqual([(known.author, known.number) for known in read.after], [(two, 4)])
        self.assertEqual(read.encode(), data)
        statement = entry_statement(data[: read.unsigned_size])
        self.assertEqual(statement, self.bytes("entry statement"))
        self.assertEqual(read.signature, self.first.sign(statement))
        self.assertEqual(sha256(data).digest(), self.bytes("entry hash"))

    def test_work(self) -> None:
        """The challenge is the registry's, and the nonce meets it, by the words of the page."""
        expires, difficulty = int(self.given["work expires"]), int(self.given["work difficulty"])
        pressed = LoadMeter()
        pressed.measure(SHARE[0], 0.0, 0.0)
        registry = ProofOfWork(pressed, self.bytes("work key"))
        with self.assertRaises(Refused) as caught:
            registry.verify(self.first.peer_id, None, expires - LIFETIME)
        challenge = Challenge(ALGORITHM, self.bytes("work seed"), difficulty, expires)
        self.assertEqual(caught.exception.problem.work, challenge)
        work = Work(challenge, int(self.given["work nonce"]))
        self.assertEqual(search(challenge, self.first.peer_id, 0, 1 << 20), work)
        registry.verify(self.first.peer_id, work, expires)
        hashed = challenge.seed + UUID(self.first.peer_id).bytes + work.nonce.to_bytes(8, "big")
        self.assertEqual(sha256(hashed).digest(), self.bytes("work hash"))
        self.assertEqual(int(self.given["work hash"], 16) >> 256 - difficulty, 0)

    def test_relay_credentials(self) -> None:
        """The registry's password and the key of the TURN requests come from the secret."""
        text = page("relay")
        self.given = vectors(text)
        username, password = self.given["username"], self.given["password"]
        expiry, _, pseudonym = username.partition(":")
        self.assertRegex(pseudonym, "^[0-9a-f]{16}$")
        mac = hmac.digest(self.given["secret"].encode(), username.encode(), "sha1")
        self.assertEqual(b64encode(mac).decode(), password)
        issuing = RelayCredentials((), 86_400, self.given["secret"].encode(), bytes(16))
        issued = issuing.issue(self.first.peer_id, int(expiry) - 86_400)
        again = hmac.digest(self.given["secret"].encode(), issued.username.encode(), "sha1")
        self.assertEqual(issued.username.partition(":")[0], expiry)
        self.assertEqual(issued.password, b64encode(again).decode())
        key = LongTermCredential(username, password).key(self.given["realm"])
        self.assertEqual(key, self.bytes("key"))


class NumberTests(SynchronousTestCase):
    """The numbers of the pages are those of the code."""

    def test_numbers(self) -> None:
        """Each sentence stands there, with what the code has now."""
        text = " ".join(page("protocol").split())
        for sentence in (
            f"sent again after {listed(gathering.RETRANSMIT_AFTER)} seconds",
            f"All are asked again every {gathering.REFRESH_INTERVAL:g} seconds",
            f"has answered {gathering.BLOCKED_AFTER:g} seconds after the first request",
            f"if the last time was more than {keepalive.SHORTEST:g} seconds ago",
            f"a gap of at least {keepalive.SHORTEST:g} seconds shows twice within "
            f"{keepalive.PATTERN_SPAN:g} seconds",
            f"is lost and found anew within {keepalive.QUICK:g} seconds",
            f"that often, every {keepalive.SHORTEST:g} seconds at most",
            f"at most {path_hint.HINT_LIFETIME / 86_400:g} days ago",
            f"the {gathering.PREDICTED} ports that come after the last one",
            f"that *step* is at most {gathering.MAX_STEP}",
            f"up to {filtering_test.SENDS} times, {filtering_test.INTERVAL:g} seconds apart",
            f"{agent.RELAY_DELAY:g} seconds after the checks of an attempt began",
            f"without a direct path for {agent.RELAY_GRACE:g} seconds",
            f"the last {agent.EARLY_CHECKS} for each offer",
            f"none has answered {relays.STAGGER:g} seconds later",
            f"it begins again {relays.RETRY_PAUSE:g} seconds later",
            f"{checks.RELAYED_PREFERENCE} if it is, {checks.REFLEXIVE_PREFERENCE:#x} "
            f"(preference {checks.REFLEXIVE_PREFERENCE}) if not",
            f"at most {pairs.MAX_PAIRS} pairs in all",
            f"None has more than {MAX_PACKET} bytes",
            f"lasts at most {punching.FIRST_ROUND:g} seconds, later ones {punching.LATER_ROUND}",
            f"shortens the round to {punching.SETTLING} seconds",
            f"began more than {punching.IMPROVE_INTERVAL:g} seconds ago",
            f"is checked {pairs.RELAY_WAIT} seconds after the pair came about",
            f"an IP TTL of {punching.LOW_TTL} until",
            f"{punching.LOW_TTL_PHASE} seconds have passed",
            f"counts as {selection.LOCAL_ADVANTAGE} seconds slower",
            f"less than {selection.BETTER} of its round-trip time",
            f"it has {selection.FAIR_WAIT} seconds",
            f"Both begin {strategy.GUESSING_DELAY} seconds after",
            f"grows from {FIRST_WAIT:g} to {LONGEST_WAIT:g} seconds",
            f"at most {MAX_RETRY_AFTER:g} seconds, however many are asked for",
            f"more than {call.PAUSES[-1]:g} seconds are asked for",
            f"must come within {call.ANSWER_TIMEOUT:g} seconds of the offer",
            f"the answer has {call.RING_TIMEOUT:g} seconds",
            f"within {live_link.REVIVAL:g} seconds of the new path",
            f"repeated for {peer_session.RESCUE_PATIENCE:g} seconds",
            f"must hold within {link.PROOF_DEADLINE:g} seconds",
            f"may keep up to {quic.MAX_EARLY} datagrams and give them to QUIC again",
            f"keeps the first {flight.MAX_KEPT} datagrams that it sent",
            f"and {flight.FIRST_WAIT} seconds after the first one, then at twice the distance "
            f"each, {flight.REPEATS} times",
            f"again {link.FIRST_KEYS:g} second later, and from then on every "
            f"{link.KEYS:,.0f} seconds",
            f"does so {quic.MOVES} times in the life of a connection",
            f"at most {link.AMPLIFICATION} times the bytes that came",
            f"sent again {flight.MAX_KEPT}, {flight.REPEATS} times, and at each path",
            f"still unanswered after {liveness.SUSPICION} seconds",
        ):
            self.assertIn(sentence, text)

    def test_conversations(self) -> None:
        """The same of what may be under way between two peers, or wait."""
        text = " ".join(page("protocol").split())
        for sentence in (
            f"sends a PING frame after {link.KNOCK[0]} seconds",
            f"the distance each, up to {link.KNOCK[1]:g} seconds",
            f"those that wait the {liveness.MAX_PONGS} newest are answered",
            f"may carry {streams.WINDOW:,} bytes, all its bytes counted",
            f"up to {streams.MAX_WINDOW:,} bytes ({conversation.GREATEST_WINDOW:,} for a conv",
            f"at most {streams.PIECE:,} bytes of each other stream by turns",
            f"looks at {streams.CONTROL_BURST} at once, and then at one every "
            f"{streams.CONTROL_INTERVAL} seconds",
            f"more than {streams.READ_AHEAD:,} bytes of control frames wait, or openings are ahead "
            f"of that by {streams.CONTROL_DEBT} seconds",
            f"looks at {live_link.FRAMES} in {live_link.SLOT} seconds",
            f"the side has {messages.MAX_STREAMS} other streams open",
            f"at most {link.HELD:,} bytes of its streams are held, with {link.OVERHEAD} for each",
            f"the next ones {receipts.RECEIPT_INTERVAL} seconds later",
            f"Lines leave {conversation.RESERVE:,} bytes of their stream's credit",
            f"{conversation.MAX_UNREAD:,} bytes of lines that weren't read",
            f"items of 80 bytes, at most {entries.MAX_ITEMS:,}",
            f"ids that a peer may retire {quic.MAX_RETIRED} of",
            f"PINGs that wait for an answer {liveness.MAX_PONGS}",
            f"written to a link ahead of the network {streams.BACKLOG:,} bytes",
            f"ahead of a gap in a QUIC stream {qh3_connection.WINDOW:,} bytes",
        ):
            self.assertIn(sentence, text)

    def test_limits(self) -> None:
        """The same of what the registry allows, and of the work that it asks for."""
        text = " ".join(page("protocol").split())
        for sentence in (
            f"``POST /register``, ``POST /deliver``, address {rates.DOCUMENTS}",
            f"``/healthz``, ``/metrics`` address {rates.WATCHING}",
            f"the key that signed {rates.KEYS}",
            f"every other request, one that makes no sense too address {rates.READS}",
            f"as claimed {rates.STUN}",
            f"buckets of {rates.MAX_SOURCES:,} sources",
            f"number of bits, {MIN_DIFFICULTY} to {MAX_DIFFICULTY}",
            f"{proof_of_work.LIFETIME} seconds from now",
            f"averaged over {load.WINDOW:g} seconds {load.STRANGERS:g} "
            f"{8 * load.STRANGERS:g} {load.STRANGERS / 2:g}",
            f"{SHARE[0]:.0%} {SHARE[1]:.0%} {SHARE[2]:.0%}".replace("%", " %"),
            "smoothed {:g} s {:g} s {:g} s".format(*load.LAG),
            f"falls by one bit in {load.EASE:g} seconds",
            f"the first {load.GRACE:g} seconds of a registry",
            f"more than {binding_server.MAX_AMPLIFICATION} times the bytes",
        ):
            self.assertIn(sentence, text)

    def test_threat_model(self) -> None:
        """The limits that the threat model names are those of the code."""
        text = " ".join(page("threat-model").split())
        for sentence in (
            f"address or IPv6 /64: {rates.DOCUMENTS} with documents",
            f"{rates.WATCHING} for health and metrics",
            f"{rates.READS} of all others",
            f"what was taken, {rates.KEYS}; 429",
            f"from {load.STRANGERS:g} new peers a second on",
            f"or {SHARE[0]:.0%} of the records".replace("%", " %"),
            f"leases of {Settings().lease:g} seconds",
            f"{MAX_RECORDS:,} records at most",
            f"one key, for {proof_of_work.LIFETIME} seconds",
            f"{connections.CONNECTIONS.per_source} from one IPv4 address or IPv6 /64, 429; "
            f"{connections.CONNECTIONS.total:,} in all, 503",
            f"{event_streams.STREAMS.per_source} to one address, 429; "
            f"{event_streams.STREAMS.total:,} in all, 503",
            f"a head has {connections.HEAD_DEADLINE:g} seconds, a body "
            f"{connections.BODY_DEADLINE:g}, whatever",
            f"one that idles for {connections.IDLE_DEADLINE:g}",
            f"after {connections.STALL:g} seconds it is dropped",
            f"{site.MAX_HEAD:,} bytes and {site.MAX_HEADERS} headers; 400",
            f"{site.MAX_BODY:,} bytes, refused",
            f"documents {MAX_DOCUMENT:,} bytes",
            f"{event_streams.MAX_QUEUED} documents or {event_streams.MAX_QUEUED_BYTES:,} bytes",
            f"at most {binding_server.MAX_AMPLIFICATION} times the bytes",
            f"{rates.STUN} answers to one address",
            f"{rates.MAX_SOURCES:,} sources",
            f"{proof_of_work.MAX_KNOWN:,} keys",
            f"At most {MAX_DIFFICULTY} bits",
            f"at most {MAX_STRANGERS} offers",
            f"at most {pairs.MAX_PAIRS} pairs",
            f"up to {port_guessing.PROBES:,} probes",
            f"up to {MAX_CANDIDATES} addresses",
            f"every {gathering.REFRESH_INTERVAL:g} seconds",
            f"up to {MAX_URLS} relays",
            f"takes it for {MAX_RETRY_AFTER:g} seconds at most",
        ):
            self.assertIn(sentence, text)


class ScalingTests(SynchronousTestCase):
    """The page for operators of several registries has the numbers of the code."""

    def test_numbers(self) -> None:
        """Each sentence stands there, with what the code has now."""
        text = " ".join(page("scaling").split())
        first, longest = FIRST_WAIT, redis_link.RETRY_LONGEST
        for sentence in (
            f"shown as online for at most {redis.INSTANCE_LEASE} seconds",
            f"after {redis.INSTANCE_LEASE} seconds the others take it for dead",
            f"{first * 0.5:g} to {first * 1.5:g} seconds later",
            f"up to {longest:g} seconds apart ({longest * 1.5:g} with the scatter)",
            f"counts as gone after {redis_link.REPLY_TIMEOUT:g} seconds",
            f"asks for {redis_link.RETRY_AFTER} seconds: peers try again after "
            f"{redis_link.RETRY_AFTER} to {redis_link.RETRY_AFTER * (1 + JITTER):g}",
            f"each of its streams every {redis.CHECK:g} seconds",
            f"At most {redis.MAX_RECORDS:,} records",
        ):
            self.assertIn(sentence, text)

    def test_patience_of_nginx(self) -> None:
        """It outwaits a silent store and two keepalives, and gives up before a peer would."""
        text = page("scaling")

        def seconds(directive: str) -> list[int]:
            return [int(number) for number in re.findall(rf" {directive} (\d+)s;", text)]

        [request, stream] = seconds("proxy_read_timeout")
        [connect, last] = seconds("proxy_connect_timeout") + seconds("proxy_next_upstream_timeout")
        [kept] = seconds("keepalive_timeout")
        for less, more in (
            (redis_link.REPLY_TIMEOUT, request),
            (max(request, connect), last),
            (last, request_times.REQUEST_TIMEOUT),
            (2 * event_streams.KEEPALIVE, stream),
            (stream, event_stream.SILENCE),
            (kept, connections.IDLE_DEADLINE),
        ):
            self.assertLess(less, more)
        for sentence in (
            f"at most {redis_link.REPLY_TIMEOUT:g} seconds to say that the store is silent",
            f"peers wait {request_times.REQUEST_TIMEOUT:g} seconds for an answer",
            f"so nginx waits {request}, and begins no other try after {last}",
            f"end after {stream} seconds",
            f"no body is longer than {site.MAX_BODY // 1024} KiB",
        ):
            self.assertIn(sentence, " ".join(text.split()))
        self.assertIn(f"client_max_body_size {site.MAX_BODY // 1024}k;", text)


def listed(numbers: tuple[float, ...]) -> str:
    """Return numbers as a sentence lists them."""
    *others, last = (f"{number:g}" for number in numbers)
    return f"{', '.join(others)} and {last}"
