"""The store in Redis, with a real redis-server: the contract, two processes, and trouble."""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.logger import capturedLogs, formatEvent

from p2pchat.errors import ReplayedDocument
from p2pchat.registry.admission.rates import Rate
from p2pchat.registry.admission.solicited import span
from p2pchat.registry.kept_documents import KeptDocument
from p2pchat.registry.refusals import Refused
from p2pchat.registry.store.directory import Delivery
from p2pchat.registry.store.redis_scripts import VERSION, EndMessage, write_message
from tests.certificates import write_certificate
from tests.ports import free_port
from tests.registry.store.redis_case import RedisCase, sleep
from tests.registry.store.redis_server import RedisServer
from tests.registry.store.store_contract import (
    ALICE,
    BOB,
    CAROL,
    LEASE,
    PART,
    PARTS,
    StoreContract,
)


def _restore(trusted: str | None) -> None:
    os.environ.pop("SSL_CERT_FILE", None)
    if trusted is not None:
        os.environ["SSL_CERT_FILE"] = trusted


class RedisStoreTests(RedisCase, StoreContract):
    """The contract, by one process; and what expires without us."""

    def eventually(self, happened: Any) -> Deferred[Any]:
        """Wait until something has happened."""
        waited: Deferred[Any] = self.until(happened)
        return waited

    @inlineCallbacks
    def test_expired(self) -> Any:
        """With the lease ends the stream, as soon as the process looks after it."""
        yield self.pass_time(LEASE)
        yield self.process.register(ALICE)
        yield self.process.listen(ALICE)
        yield self.pass_time(LEASE * 1.1)
        yield self.until(lambda: self.process.streams.ended)
        self.assertEqual(self.process.streams.ended, [(ALICE, "expired")])

    @inlineCallbacks
    def test_everything_ends(self) -> Any:
        """Every key has an end of its own, or goes with the lease, or is swept."""
        yield self.process.register(ALICE)
        yield self.process.listen(ALICE)
        yield self.process.deliver(self.process.document(ALICE), ALICE)
        lasting = {"p2pchat:ids", "p2pchat:due", "p2pchat:names", "p2pchat:name:x"}
        lasting |= {f"p2pchat:{kind}:{ALICE}" for kind in ("record", "registration")}
        kept = {"p2pchat:clock", "p2pchat:used"}
        for key in self.server.ask("KEYS", "*").split():
            ends = int(self.server.ask("TTL", key)) != -1
            self.assertEqual(ends, key not in lasting | kept, key)
        yield self.pass_time(LEASE * 1.1)
        yield self.until(lambda: not lasting & set(self.server.ask("KEYS", "*").split()))


class ShareTests(RedisCase):
    """What an author had, as time passes."""

    @inlineCallbacks
    def test_begins_anew(self) -> Any:
        """Soon after its first document a stranger may send as much again."""
        rate = Rate(PARTS * len(PART), PARTS * len(PART))
        process = self.boot(lease=60.0, unsolicited=rate)
        yield self.connected(process)
        for peer_id in (ALICE, BOB):
            yield process.register(peer_id)
            yield process.listen(peer_id)
        first = yield process.fill(ALICE, BOB)
        yield self.pass_time(1.2)  # the budget is full again
        between = yield process.fill(ALICE, BOB)
        yield self.pass_time(span(rate) - 1.0)
        self.assertLess(len(between), 3)
        self.assertEqual((yield process.fill(ALICE, BOB)), first)

    @inlineCallbacks
    def test_regained(self) -> Any:
        """The budget of all fills steadily, not only when the time for all of it is over."""
        process = self.boot(lease=60.0, unsolicited=Rate(10 * len(PART), PARTS * len(PART)))
        yield self.connected(process)
        for peer_id in (ALICE, BOB, CAROL):
            yield process.register(peer_id)
            yield process.listen(peer_id)
        all_but_one = PART * (PARTS - 1)
        document = process.document(ALICE)
        self.assertIs((yield process.deliver(document, BOB, all_but_one)), Delivery.TAKEN)
        document, half = process.document(CAROL), PART * (PARTS // 2)
        self.assertIs((yield process.deliver(document, BOB, half)), Delivery.UNSOLICITED)
        yield self.pass_time(PARTS / 10 / 2 + 0.2)
        self.assertIs((yield process.deliver(document, BOB, half)), Delivery.TAKEN)


class SharedStoreTests(RedisCase):
    """Two processes act as one."""

    @inlineCallbacks
    def setUp(self) -> Any:  # type: ignore[override]
        yield super().setUp()
        self.other = self.boot()
        yield self.connected(self.other)
        for peer_id in (ALICE, BOB):
            yield self.process.register(peer_id)

    @inlineCallbacks
    def test_records(self) -> Any:
        """What one knows the other knows; a document is used for both."""
        found = yield self.other.store.find(ALICE)
        self.assertEqual((found.record.peer_id, found.online), (ALICE, False))
        document = self.other.document(ALICE)
        yield self.other.store.register(found.record, document)
        again = self.process.store.register(found.record, document)
        yield self.refused(again, ReplayedDocument)

    @inlineCallbacks
    def test_nameplates_across(self) -> Any:
        """A try that is left at one process is announced on the owner's stream at the other."""
        yield self.other.listen(ALICE)
        yield self.process.claim(ALICE, "123456")
        yield self.process.store.respond("123456", "B")
        yield self.until(lambda: self.other.streams.announced)
        self.assertEqual(self.other.streams.announced, [(ALICE, "123456")])
        found, _left = yield self.other.store.nameplate("123456")
        self.assertEqual(found.response, "B")

    @inlineCallbacks
    def test_delivered_across(self) -> Any:
        """A document reaches a stream on the other process, and what becomes of it is true."""
        yield self.other.listen(BOB)
        self.assertTrue((yield self.process.is_online(BOB)))
        document = self.process.document(ALICE)
        self.other.streams.deaf.add(BOB)
        self.assertIs((yield self.process.deliver(document, BOB, "one")), Delivery.OFFLINE)
        self.other.streams.deaf.clear()
        self.assertIs((yield self.process.deliver(document, BOB, "two")), Delivery.TAKEN)
        self.assertEqual(self.other.streams.live[BOB], ["two"])
        yield self.refused(self.other.deliver(document, BOB), ReplayedDocument)

    @inlineCallbacks
    def test_superseded_across(self) -> Any:
        """A newer stream on another process ends the older one, and gets what comes."""
        yield self.process.listen(BOB)
        yield self.other.listen(BOB)
        yield self.until(lambda: self.process.streams.ended)
        self.assertEqual(self.process.streams.ended, [(BOB, "superseded")])
        self.process.store.unsubscribe(BOB)
        yield sleep(0.1)
        document = self.process.document(ALICE)
        self.assertIs((yield self.process.deliver(document, BOB)), Delivery.TAKEN)
        self.assertEqual(self.other.streams.ended, [])

    @inlineCallbacks
    def test_unheard_across(self) -> Any:
        """What the older stream lost the newer one gets, on another process too, once."""
        now = self.process.store.runtime.clock.seconds()
        for after, expected in ((2, ["three", "four"]), (None, []), (0, ["three", "four"])):
            yield self.process.listen(BOB)
            for number, token in enumerate(("three", "four"), 3):
                self.process.streams.kept.keep(KeptDocument(BOB, number, token, now), now)
            yield self.other.listen(BOB, after)
            yield self.until(lambda: self.process.streams.ended)
            self.process.streams.ended.clear()
            yield sleep(0.1)
            self.assertEqual(self.other.streams.live[BOB], expected)
            self.assertEqual(len(self.process.streams.kept), 0)

    @inlineCallbacks
    def test_removed_across(self) -> Any:
        """A removal at one process ends the stream at the other."""
        yield self.other.listen(BOB)
        yield self.process.store.remove(BOB, self.process.document(BOB))
        yield self.until(lambda: self.other.streams.ended)
        self.assertEqual(self.other.streams.ended, [(BOB, "removed")])

    @inlineCallbacks
    def test_stopped(self) -> Any:
        """The peers of a process that stopped are offline at once, and may send again."""
        yield self.other.listen(BOB)
        yield self.other.store.stop()
        self.assertFalse((yield self.process.is_online(BOB)))
        document = self.process.document(ALICE)
        self.assertIs((yield self.process.deliver(document, BOB)), Delivery.OFFLINE)
        yield self.process.listen(BOB)
        self.assertIs((yield self.process.deliver(document, BOB)), Delivery.TAKEN)


class UpgradeTests(RedisCase):
    """What a registry of another release wrote, or says."""

    def change(self, key: str, **members: Any) -> None:
        """Give an object in the store other members."""
        said = json.loads(self.server.ask("GET", f"p2pchat:{key}"))
        self.server.ask("SET", f"p2pchat:{key}", json.dumps({**said, **members}))

    @inlineCallbacks
    def test_more(self) -> Any:
        """What a newer one says besides is ignored, of a record and of a stream's place."""
        record = yield self.process.register(ALICE)
        yield self.process.listen(ALICE)
        self.change(f"record:{ALICE}", more={"than": 1})
        self.change(f"at:{ALICE}", more={"than": 1})
        found = yield self.process.store.find(ALICE)
        self.assertEqual((found.record, found.online), (record, True))
        (shown,) = (yield self.process.store.page("", 10, "x")).records
        self.assertEqual(shown, found)

    @inlineCallbacks
    def test_other_version(self) -> Any:
        """A record that nobody here can read is none, until its peer registers again."""
        yield self.process.register(ALICE)
        yield self.process.listen(ALICE)
        self.change(f"record:{ALICE}", v=VERSION + 1)
        self.assertIsNone((yield self.process.store.find(ALICE)))
        self.assertEqual((yield self.process.store.page("", 10, None)).records, [])
        yield self.process.register(ALICE)
        self.assertTrue((yield self.process.is_online(ALICE)))

    @inlineCallbacks
    def test_other_place(self) -> Any:
        """A stream whose place nobody here can read is none; its process tells where it is."""
        yield self.process.register(ALICE)
        yield self.process.listen(ALICE)
        for unreadable in ("0:1", json.dumps({"v": VERSION + 1, "instance": "x", "serial": 1})):
            self.server.ask("SET", f"p2pchat:at:{ALICE}", unreadable)
            self.assertFalse((yield self.process.is_online(ALICE)))
            self.process.store.check_streams()
            yield self.until(self.process.is_online, ALICE)

    @inlineCallbacks
    def test_messages(self) -> Any:
        """Messages with more members than we know do their work; what can't be read does none."""
        yield self.process.register(ALICE)
        yield self.process.listen(ALICE)
        serial = json.loads(self.server.ask("GET", f"p2pchat:at:{ALICE}"))["serial"]
        message = json.loads(write_message(EndMessage(ALICE, serial, "superseded")))
        to = f"p2pchat:to:{self.process.store.instance}"
        for ignored in ("nothing", json.dumps({**message, "v": VERSION + 1})):
            self.server.ask("PUBLISH", to, ignored)
        yield sleep(0.1)
        self.assertEqual(self.process.streams.ended, [])
        self.server.ask("PUBLISH", to, json.dumps({**message, "more": 1}))
        yield self.until(lambda: self.process.streams.ended)
        self.assertEqual(self.process.streams.ended, [(ALICE, "superseded")])


class OutageTests(RedisCase):
    """While Redis is away, and after."""

    @inlineCallbacks
    def test_away_and_back(self) -> Any:
        """Requests are refused and streams stay; a Redis that forgot all learns it again."""
        self.process = self.boot(lease=60.0)
        yield self.connected(self.process)
        record = yield self.process.register(ALICE)
        yield self.process.listen(ALICE)
        self.server.kill()
        refusal = yield self.refused(self.process.register(ALICE), Refused)
        self.assertEqual(refusal.problem.reason, "store-unavailable")
        self.assertEqual((refusal.status, refusal.headers), (503, {"Retry-After": "2"}))
        self.assertIsNone((yield self.process.store.count()))
        self.server.start()
        yield self.connected(self.process)
        # Redis learns of the stream when the process looks after it, before or after this.
        yield self.process.store.register(record, self.process.document(ALICE))
        yield self.until(self.process.is_online, ALICE)
        document = self.process.document(ALICE)
        self.assertIs((yield self.process.deliver(document, ALICE)), Delivery.TAKEN)
        self.assertEqual(self.process.streams.ended, [])

    @inlineCallbacks
    def test_late(self) -> Any:
        """A process that starts before Redis refuses, and works as soon as it is there."""
        self.server.kill()
        late = self.boot()
        yield self.refused(late.store.find(ALICE), Refused)
        self.server.start()
        yield self.connected(late)
        yield late.register(ALICE)

    @inlineCallbacks
    def test_full_redis(self) -> Any:
        """A Redis without memory left says so; the registry refuses, and the operator is told."""
        yield self.process.register(ALICE)
        self.server.ask("CONFIG", "SET", "maxmemory", "1")
        with capturedLogs() as told:
            for _ in range(2):
                refusal = yield self.refused(self.process.register(BOB), Refused)
                self.assertEqual(refusal.problem.reason, "store-unavailable")
        self.assertEqual(sum("OOM" in formatEvent(event) for event in told), 1)
        self.assertIsNotNone((yield self.process.store.find(ALICE)))
        self.server.ask("CONFIG", "SET", "maxmemory", "0")
        yield self.process.register(BOB)

    @inlineCallbacks
    def test_silent(self) -> Any:
        """A Redis that doesn't answer is as good as none, after two seconds."""
        self.server.pause()
        self.addCleanup(self.server.resume)
        refusal = yield self.refused(self.process.store.find(ALICE), Refused)
        self.assertEqual(refusal.problem.reason, "store-unavailable")
        self.server.resume()
        yield self.connected(self.process)


class TlsTests(RedisCase):
    """A server that is reached by TLS."""

    @inlineCallbacks
    def setUp(self) -> Any:  # type: ignore[override]
        folder = self.mktemp()
        os.mkdir(folder)
        write_certificate(folder, "127.0.0.1")
        certificate = os.path.abspath(f"{folder}/certificate.pem")
        key = os.path.abspath(f"{folder}/key.pem")
        port = free_port()
        files = ("--tls-cert-file", certificate, "--tls-key-file", key)
        self.server = RedisServer(("--tls-port", str(port), "--tls-auth-clients", "no", *files))
        self.addCleanup(self.server.close)
        self.server.start()
        self.url = f"rediss://127.0.0.1:{port}"
        former = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = certificate
        self.addCleanup(_restore, former)
        self.process = self.boot(self.url)
        yield self.connected(self.process)

    @inlineCallbacks
    def test_trusted(self) -> Any:
        """With a certificate that the system trusts it works."""
        yield self.process.register(ALICE)

    @inlineCallbacks
    def test_stranger(self) -> Any:
        """A server whose certificate nobody vouches for gets nothing."""
        del os.environ["SSL_CERT_FILE"]
        stranger = self.boot(self.url)
        yield sleep(0.5)
        yield self.refused(stranger.store.find(ALICE), Refused)


class PasswordTests(RedisCase):
    """A server that wants a password."""

    @inlineCallbacks
    def setUp(self) -> Any:  # type: ignore[override]
        self.server = RedisServer(("--requirepass", "north south"))
        self.addCleanup(self.server.close)
        self.server.start()
        self.process = self.boot(self.server.url.replace("//", "//default:north%20south@"))
        yield self.connected(self.process)

    @inlineCallbacks
    def test_wrong(self) -> Any:
        """With a wrong one everything is refused, and it is tried again."""
        stranger = self.boot(self.server.url.replace("//", "//:wrong@"))
        yield sleep(0.5)
        yield self.refused(stranger.store.find(ALICE), Refused)
