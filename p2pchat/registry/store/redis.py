"""
A store in Redis, so that several processes act as one registry.

::

    peer ── stream ── this process                   another process ── POST /deliver ── author
                        │  ▲                              │
                 claims │  │ deliver (pub/sub)            │ one script: registered? online? new?
                        ▼  │                              ▼ then publish to the stream's process
                      ┌──────────────────────────────────────┐
                      │                Redis                 │  answer: did a live stream take it?
                      └──────────────────────────────────────┘

Owns what follows when a process or Redis dies:

* A process that was killed stops saying that it lives; after INSTANCE_LEASE seconds its peers
  aren't shown as online any more.  A document for them is refused at once: nobody listens on its
  channel.  Their leases run on, and they subscribe at another process.
* While Redis is away each request that needs it is refused with ``store-unavailable``; streams
  stay open.  When it is back, each process tells it of all its streams.  If it has lost the
  records, they come with the next renewal; streams without a record aren't ended before every
  peer has had a lease's time for that.
* The wall clock of Redis's machine is that of all processes (:meth:`RedisStore.wall_time`): they
  needn't agree among themselves.  Where it is set, expiries of Redis come too early or too late; a
  process sees that at its next beat, and tells of its streams at once.
* Each stream is looked after every CHECK seconds: is its peer's newest one here, is the peer still
  registered?  So a message that was lost only delays the end of a stream.

A document counts as delivered when the process that holds the stream says so.  Where the stream
was dead already, and its peer opens another one at another process, the first one hands on what the
peer hasn't had (:mod:`p2pchat.registry.kept_documents`).  If it doesn't
within ANSWER_TIMEOUT, the answer is ``peer-offline`` although the document may have arrived; its
nonce stays used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from importlib.resources import files
from itertools import count, islice
from math import ceil
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred, TimeoutError, inlineCallbacks, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.errors import ReplayedDocument
from p2pchat.identity.signed_documents import expires_at
from p2pchat.interfaces import IRegistryStore
from p2pchat.registry.admission.rates import UNSOLICITED, Rate
from p2pchat.registry.admission.solicited import AWAITED, KEPT, WEIGHT, pair, solicits, span
from p2pchat.registry.event_streams import MAIL, NAMEPLATE, EventStreams
from p2pchat.registry.kept_documents import KeptDocument
from p2pchat.registry.refusals import Refused
from p2pchat.registry.store import redis_scripts as scripts
from p2pchat.registry.store.directory import Delivery, Page, PublicRecord, Record, full
from p2pchat.registry.store.nameplate_table import (
    MAX_OF_PEER,
    MAX_OF_SOURCE,
    Nameplate,
    NameplateOutcome,
)
from p2pchat.registry.store.redis_link import RedisLink
from p2pchat.registry.store.redis_scripts import (
    DELIVERIES,
    AnswerMessage,
    DeliverMessage,
    EndMessage,
    MailMessage,
    NameplateMessage,
    UnheardMessage,
    read_message,
    read_scripts,
    write_message,
)
from p2pchat.registry.store.redis_url import RedisUrl
from p2pchat.runtime import Runtime
from p2pchat.wire.documents import Document
from p2pchat.wire.strict_json import dumps
from p2pchat.wire.usernames import comparable

MAX_NAMEPLATES = 100_000  # in all, 12 KB each at most
MAX_RECORDS = 2_000_000  # in all; about 2 KiB each with what stands beside it: 4 GiB
INSTANCE_LEASE = 10  # seconds; how long a process that was killed counts as living
BEAT = 3.0  # seconds; three tries in a lease
CHECK = 15.0  # seconds; between two looks at a stream
PRESENCE = 60  # seconds; four looks
BATCH = 200  # streams that are looked after in one step: a fraction of a millisecond
SPARE = 10  # seconds that a nonce is kept longer: a process learns of a set clock with a beat
SET = 1.0  # seconds that Redis's wall clock goes wrong by between two beats, if nobody sets it
ANSWER_TIMEOUT = 1.5  # seconds; a peer waits for 5

_TEXT = files("p2pchat.registry.store").joinpath("scripts.lua").read_text("ascii")
_SCRIPTS = read_scripts(_TEXT)
LIBRARY = scripts.library(_TEXT)  # for scripts of others that share the store

_T = TypeVar("_T")
_Steps = Generator[Deferred[Any], Any, _T]


@implementer(IRegistryStore)
@attrs.define(eq=False)
class RedisStore:
    """
    One process's part of a shared memory.

    :ivar lease: seconds that a record lives without renewal.
    :ivar streams: those that are attached to this process.
    :ivar unsolicited: bytes to one peer from those that it never wrote to.
    :ivar instance: the random name of this process.
    """

    url: RedisUrl
    runtime: Runtime
    lease: float
    streams: EventStreams
    unsolicited: Rate = UNSOLICITED
    instance: str = attrs.field(init=False)
    capacity: int = attrs.field(default=MAX_RECORDS)
    _link: RedisLink = attrs.field(init=False)
    _serials: dict[str, int] = attrs.field(init=False, factory=dict)  # of our streams
    _numbers: Any = attrs.field(init=False, factory=lambda: count(1))
    _waiting: dict[int, Deferred[Delivery]] = attrs.field(init=False, factory=dict)
    _registered_now: int = attrs.field(init=False, default=0)
    _ahead: float | None = attrs.field(init=False, default=None)  # Redis's clock, of our steady one
    _next_beat: float = attrs.field(init=False, default=0.0)
    _next_check: float = attrs.field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        self.instance = self.runtime.random_name()
        channel = scripts.channel(self.instance)
        self._link = RedisLink(self.runtime, self.url, channel, self._received, self._connected)

    # -- its life

    def start(self) -> None:
        """Connect; until that is done, everything is refused."""
        self._link.start()

    def stop(self) -> Deferred[None]:
        """Say that this process lives no more, and disconnect."""
        left = self._run("LEAVE", self.instance)
        return left.addErrback(_quietly).addCallback(lambda _: self._link.stop())

    def is_available(self) -> bool:
        """Tell whether Redis can be asked, and reaches us."""
        return self._link.since is not None

    def wall_time(self) -> float:
        """Return seconds since 1970 by Redis's clock, from the first beat on; else by our own."""
        if self._ahead is None:
            return self.runtime.wall_time()
        return self.runtime.clock.seconds() + self._ahead

    def sweep(self) -> None:
        """Say that we live; look after some of our streams."""
        now = self.runtime.clock.seconds()
        if not self.is_available():
            return
        if now >= self._next_beat:
            self._beat()
        if now >= self._next_check:
            self.check_streams()

    def _connected(self) -> None:
        self._beat().addCallback(lambda _: self.check_streams())

    def _beat(self) -> Deferred[Any]:
        self._next_beat = self.runtime.clock.seconds() + BEAT
        self._link.listens()
        beat = self._run("BEAT", self.instance, INSTANCE_LEASE, scripts.SWEPT)
        return beat.addCallbacks(self._counted, _quietly)

    def _counted(self, found: tuple[int, int]) -> None:
        self._registered_now, milliseconds = found
        before, self._ahead = self._ahead, milliseconds / 1000 - self.runtime.clock.seconds()
        if before is not None and abs(self._ahead - before) > SET:
            self.check_streams()  # what tells of them may have expired

    def _run(self, script: str, *arguments: object) -> Deferred[Any]:
        return self.run(_SCRIPTS[script], *arguments)

    def run(self, script: str, *arguments: object) -> Deferred[Any]:
        """Run a script; the Deferred fires with its result, or fails with Refused."""
        return self._link.run(script, *arguments)

    # -- records

    @inlineCallbacks
    def register(self, record: Record, document: Document) -> _Steps[bool]:
        """Hold a record for one lease."""
        outcome = yield self._run(
            "REGISTER",
            record.peer_id,
            comparable(record.username) if record.listed else "",
            _encode(record),
            record.registration,
            int(self.lease * 1000),
            self.capacity,
            int(record.visible),
            *self._nonce(document),
        )
        if outcome == "full":
            raise full(self.capacity, self.lease)
        return _refuse_used(outcome) == "online"

    def renew(self, peer_id: str, renewal: str, ip: str) -> Deferred[bool]:
        """Hold a record for one more lease."""
        lease = int(self.lease * 1000)
        done = self._run("RENEW", peer_id, lease, renewal, ip)
        return done.addCallback(lambda outcome: outcome == "done")

    def find(self, peer_id: str) -> Deferred[PublicRecord | None]:
        """Find a peer."""
        return self._run("FIND", peer_id).addCallback(_decode)

    def online(self, peer_ids: Sequence[str]) -> Deferred[frozenset[str]]:
        """Tell who of some is online."""
        if not peer_ids:
            return succeed(frozenset())
        return self._run("ONLINE", *peer_ids).addCallback(_online, peer_ids)

    def page(self, after: str, limit: int, username: str | None) -> Deferred[Page]:
        """Return some records, in the order of their ids."""
        name = () if username is None else (comparable(username),)
        return self._run("PAGE", after, limit, *name).addCallback(_decode_page)

    @inlineCallbacks
    def remove(self, peer_id: str, document: Document) -> _Steps[bool]:
        """End a record, and the peer's stream."""
        outcome = yield self._run("REMOVE", peer_id, self.instance, *self._nonce(document))
        found = _refuse_used(outcome) != "unknown"
        if found:
            self.streams.end(peer_id, "removed")
        return found

    def count(self) -> Deferred[int | None]:
        """Return how many records there were at the last beat: who asks for health can't wait."""
        return succeed(self._registered_now if self.is_available() else None)

    def share(self) -> float | None:
        """Return the share that was taken at the last beat, of what there may be."""
        return self._registered_now / self.capacity if self.is_available() else None

    def _nonce(self, document: Document) -> tuple[str, int]:
        """Return the nonce and the seconds for which it must be remembered."""
        left = expires_at(document) - self.wall_time()
        return document.nonce, max(1, ceil(left)) + SPARE

    # -- streams

    @inlineCallbacks
    def subscribe(self, peer_id: str, document: Document, after: int | None = None) -> _Steps[bool]:
        """Let the peer open a stream here."""
        serial = next(self._numbers)
        here = self.instance, serial, PRESENCE
        last = "" if after is None else after
        try:
            outcome = yield self._run("SUBSCRIBE", peer_id, *here, *self._nonce(document), last)
        except Exception:
            self._leave(peer_id, serial)  # in case that it was done all the same
            raise
        found = _refuse_used(outcome) != "unknown"
        if found:
            self._serials[peer_id] = max(serial, self._serials.get(peer_id, 0))
        return found

    def unsubscribe(self, peer_id: str) -> None:
        """Say that the peer isn't here any more."""
        serial = self._serials.pop(peer_id, None)
        if serial is not None:
            self._leave(peer_id, serial)

    def _leave(self, peer_id: str, serial: int) -> None:
        left = self._run("UNSUBSCRIBE", peer_id, self.instance, serial)
        left.addErrback(_quietly)

    def check_streams(self) -> None:
        """Look after all our streams, a batch at a time."""
        now = self.runtime.clock.seconds()
        self._next_check = now + CHECK
        for peer_id in set(self._serials) - set(self.streams):
            self.unsubscribe(peer_id)
        ours = iter(list(self._serials.items()))
        while batch := list(islice(ours, BATCH)):
            words = [word for stream in batch for word in stream]
            checked = self._run("CHECK", self.instance, PRESENCE, *words)
            checked.addCallback(self._checked, batch).addErrback(self._check_soon)

    def _check_soon(self, failure: Failure) -> None:
        """Look again with the next beat: Redis may be reading its file after a restart."""
        _quietly(failure)
        self._next_check = min(self._next_check, self._next_beat)

    def _checked(self, found: str, batch: Sequence[tuple[str, int]]) -> None:
        for letter, (peer_id, serial) in zip(found, batch, strict=True):
            if letter == "s":
                self._end(EndMessage(peer_id, serial, "superseded"))
            elif letter == "r" and self._had_time():
                self._end(EndMessage(peer_id, serial, "expired"))

    def _had_time(self) -> bool:
        """Tell whether every peer has renewed its lease since Redis was there again."""
        since = self._link.since
        return since is not None and self.runtime.clock.seconds() - since > self.lease

    # -- deliveries

    @inlineCallbacks
    def deliver(self, peer_id: str, document: Document, token: str) -> _Steps[Delivery]:
        """Put a document on a peer's stream, whichever process it is attached to."""
        request = next(self._numbers)
        self._waiting[request] = Deferred()
        try:
            outcome = yield self._run(
                "DELIVER",
                document.issuer,
                peer_id,
                self.instance,
                *self._nonce(document),
                write_message(DeliverMessage(request, self.instance, peer_id, token)),
                *self._solicitation(document, peer_id, token),
            )
            if outcome == "here":
                delivery = self.streams.deliver(peer_id, token)
            elif outcome == "sent":
                delivery = yield self._waiting[request].addTimeout(
                    ANSWER_TIMEOUT, self.runtime.clock
                )
            else:
                return DELIVERIES[_refuse_used(outcome)]
        except TimeoutError:
            return Delivery.OFFLINE
        finally:
            del self._waiting[request]
        if delivery is not Delivery.TAKEN:  # it may come again
            forgotten = self._run("FORGET", document.issuer, document.nonce)
            yield forgotten.addErrback(_quietly)
        return delivery

    def _solicitation(self, document: Document, peer_id: str, token: str) -> Iterator[object]:
        """Return what the script must know to tell strangers from correspondents."""
        yield pair(peer_id, document.issuer).hex()
        yield pair(document.issuer, peer_id).hex() if solicits(document) else ""
        rate, most = self.unsolicited.rate, self.unsolicited.burst
        yield from (len(token), int(most) if rate else 0, most / rate * 1000 if rate else 1)
        yield from (int(KEPT), scripts.MAX_PAIRS)
        yield from (WEIGHT, ceil(span(self.unsolicited)) or 1, int(AWAITED))

    def _received(self, text: str) -> None:
        match read_message(text):
            case DeliverMessage() as message:
                delivery = self.streams.deliver(message.peer_id, message.token)
                answer = write_message(AnswerMessage(message.request, delivery))
                channel = scripts.channel(message.instance)
                self._link.publish(channel, answer).addErrback(_quietly)
            case AnswerMessage() as answer:
                waiting = self._waiting.get(answer.request)
                if waiting is not None and not waiting.called:
                    waiting.callback(answer.delivery)
            case EndMessage() as end:
                self._end(end)
            case UnheardMessage(peer_id, number, age, token):
                written_at = self.runtime.clock.seconds() - age
                self.streams.take_over(KeptDocument(peer_id, number, token, written_at))
            case NameplateMessage(peer_id, nameplate):
                self.streams.announce(peer_id, NAMEPLATE, nameplate)
            case MailMessage(peer_id, state):
                self.streams.announce(peer_id, MAIL, dumps(state.to_json()).decode("ascii"))

    def _end(self, end: EndMessage) -> None:
        """End a stream, unless there is a newer one here; what was lost with it goes on."""
        if self._serials.get(end.peer_id) != end.serial:
            return
        now = self.runtime.clock.seconds()
        after = end.after if end.successor else None
        for one in self.streams.unheard(end.peer_id, after):
            age = max(0.0, now - one.written_at)
            unheard = UnheardMessage(one.peer_id, one.number, age, one.token)
            to = scripts.channel(end.successor)
            self._link.publish(to, write_message(unheard)).addErrback(_quietly)
        self.streams.end(end.peer_id, end.event)

    def accept(self, document: Document) -> Deferred[bool]:
        """Take a document of a registered author."""
        accepted = self._run("ACCEPT", document.issuer, *self._nonce(document))
        return accepted.addCallback(lambda outcome: _refuse_used(outcome) != "unknown")

    # -- nameplates

    def claim(
        self, nameplate: Nameplate, lifetime: int, document: Document
    ) -> Deferred[NameplateOutcome]:
        """Give a nameplate to a peer."""
        said = (nameplate.name, nameplate.owner, nameplate.source, nameplate.origin)
        limits = MAX_NAMEPLATES, MAX_OF_PEER, MAX_OF_SOURCE
        return self._ask_nameplate(
            "CLAIM",
            *(*said, nameplate.message, lifetime * 1000, *limits, *self._nonce(document)),
        )

    def nameplate(self, name: str) -> Deferred[tuple[Nameplate, float] | None]:
        """Find a nameplate."""
        return self._run("NAMEPLATE", name).addCallback(_decode_nameplate, name)

    def respond(self, name: str, response: str) -> Deferred[NameplateOutcome]:
        """Write what a joiner leaves."""
        return self._ask_nameplate("RESPOND", name, response)

    def complete(
        self, name: str, completion: str, document: Document
    ) -> Deferred[NameplateOutcome]:
        """Write what an owner answers."""
        said = name, document.issuer, completion
        return self._ask_nameplate("COMPLETE", *said, *self._nonce(document))

    def release(self, name: str, document: Document) -> Deferred[NameplateOutcome]:
        """Take a nameplate away."""
        return self._ask_nameplate("RELEASE", name, document.issuer, *self._nonce(document))

    def _ask_nameplate(self, script: str, *arguments: object) -> Deferred[NameplateOutcome]:
        return self._run(script, *arguments).addCallback(_outcome)


def redis_store(url: RedisUrl) -> Callable[[Runtime, float, EventStreams, Rate], RedisStore]:
    """Return what makes a store at this place."""
    return partial(RedisStore, url)


def _refuse_used(outcome: str) -> str:
    if outcome == "used":
        raise ReplayedDocument()
    return outcome


def _outcome(word: str) -> NameplateOutcome:
    if word == "used-document":
        raise ReplayedDocument()
    return NameplateOutcome(word)


def _decode_nameplate(found: list[str] | None, name: str) -> tuple[Nameplate, float] | None:
    if not found:
        return None
    *members, left = found
    return Nameplate(name, *members), int(left) / 1000


def _quietly(failure: Failure) -> None:
    """Let what will be tried again anyway fail without a word."""
    failure.trap(Refused)


# The registration stands apart: nobody who renews, and no list, needs it.
_MEMBERS = [one.name for one in attrs.fields(Record) if one.name != "registration"]


def _encode(record: Record) -> str:
    members = {name: getattr(record, name) for name in _MEMBERS}
    return json.dumps({"v": scripts.VERSION, **members}, ensure_ascii=False)


def _decode(text: str | None) -> PublicRecord | None:
    """Read what the scripts show of a peer; None: nobody is registered, or in another version."""
    if not text:
        return None
    state, _, written = text.partition(" ")
    said = json.loads(written)
    if said.get("v") != scripts.VERSION:
        return None
    members = {name: said[name] for name in _MEMBERS if name in said}
    members["addresses"] = tuple((host, port) for host, port in members["addresses"])
    return PublicRecord(Record(**members, registration=state[1:]), state[0] == "1")


def _online(found: str, peer_ids: Sequence[str]) -> frozenset[str]:
    pairs = zip(peer_ids, found, strict=True)
    return frozenset(peer_id for peer_id, letter in pairs if letter == "1")


def _decode_page(text: str) -> Page:
    following, *lines = text.split("\n")
    records = [record for line in lines if (record := _decode(line)) is not None]
    return Page(records, following or None)
