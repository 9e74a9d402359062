"""
A registry that answers with every kind of value in every place: the peer comes back from all of
them, and registers with an honest one afterwards.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from p2pchat import events
from p2pchat.errors import P2PChatError
from p2pchat.ui import json_form, results
from p2pchat.ui.wording import Wording
from tests.identity.people import BOB
from tests.simulation import WHOLE
from tests.simulation.world import HTTP_PORT, World

SHARE = 1 if WHOLE else 6  # one of so many is tried
# With and without a body, refused or not, each has its turn: 2 and 3 don't divide it.
SHARE_OF_BOTH = 1 if WHOLE else 5
RAW = {"@nan": "NaN", "@infinity": "-Infinity", "@1e999": "1e999", "@digits": "9" * 5000}


def nested(depth: int) -> list[Any]:
    """Return lists in lists."""
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 3, 2**31, 2**53 + 1, 10**400, -(10**400)),
    *(0.5, -0.5, 1e-320, 1e11, 1e308, "@1e999", "@nan", "@infinity", "@digits"),
    *("", "x", " ", ".", "\x00", "\ud800", "é" * 200, "a\r\nX: b", "x" * 70_000, "-" * 64),
    *("2130706433", "localhost", "stun:a\ud800", "turn:\ud800.test", "turn:[::1", "turn:a:99999"),
    *([], [None], ["\ud800"], [[]], [{}], ["x"] * 5000, [10**400], nested(12), nested(500)),
    *({}, {"a": 1}, {"urls": "x"}, {"\ud800": "\ud800"}, {"": {"": {"": []}}}),
)

RECORD = {
    "peer_id": BOB.peer_id,
    "username": "bob",
    "nat": "none",
    "online": True,
    "as_of": 1_800_000_000,
    "ip": "192.0.2.1",
    "port": 5000,
    "addresses": ["192.0.2.1:5000"],
}
REGISTERED = {
    **RECORD,
    "lease": 3,
    "renewal": "token",
    "your_ip": "192.0.2.1",
    "stun": ["stun:198.51.100.9:3478"],
    "turn": {
        "urls": ["turn:198.51.100.9:3478", "turn:r.test:3478?transport=tcp"],
        "username": "u",
        "password": "p",
        "ttl": 600,
    },
}
PROBLEM = {
    "type": "/problems/work-required",
    "title": "Too Many Requests",
    "status": 429,
    "detail": "work",
    "work": {
        "algorithm": "sha256-zero-bits",
        "seed": "A" * 22,
        "difficulty": 14,
        "expires": 1_900_000_000,
    },
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return where in a JSON value something can stand."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    if isinstance(value, list):
        yield from places(value[0], (*path, 0))


def poisoned(value: Any) -> Iterator[bytes]:
    """Return a JSON value with every value in every place; a share of them, by turns."""
    for number, path in enumerate(places(value)):
        for poison in VALUES[number % SHARE :: SHARE]:
            whole = [copy.deepcopy(value)]
            inner: Any = whole
            for step in (0, *path)[:-1]:
                inner = inner[step]
            inner[(0, *path)[-1]] = poison
            yield written(whole[0])


def written(value: Any) -> bytes:
    """Write JSON, with what isn't JSON where a value stands for it."""
    text = json.dumps(value)
    for name, raw in RAW.items():
        text = text.replace(f'"{name}"', raw)
    return text.encode()


@attrs.frozen
class Answer:
    """What is answered to one kind of request; the rest is answered well."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Hostile(Resource):
    """
    A registry that goes through its answers, one for each registration.

    :ivar answers: for ``register``, ``renew``, ``peers``, ``peer``, ``deliver`` and ``events``.
    """

    isLeaf = True

    def __init__(self, world: World) -> None:
        super().__init__()
        self.answers: dict[str, Iterator[Answer]] = {}
        self.is_done: dict[str, bool] = {}
        self._clock = world.host.reactor

    def render(self, request: Request) -> Any:
        """See `IResource`."""
        route = request.path.decode().split("/")[1]
        answer = next(self.answers.get(route, iter(())), None)
        self.is_done[route] = answer is None
        good = {"register": REGISTERED, "peers": {"peers": [RECORD]}, "peer": RECORD}
        answer = answer or Answer(200, written(good[route]) if route in good else b"")
        request.setResponseCode(answer.status)
        request.responseHeaders.removeHeader(b"date")
        for name, value in answer.headers:
            request.responseHeaders.addRawHeader(name, value)
        if route != "events" or answer.status != 200:
            return answer.body
        request.setHeader(b"content-type", b"text/event-stream")
        request.write(answer.body or b"event: ready\ndata: {}\n\n")
        gone: Deferred[None] = request.notifyFinish()
        ending = self._clock.callLater(2.5, request.finish)
        gone.addBoth(lambda _gone: ending.cancel() if ending.active() else None)
        return NOT_DONE_YET


class HostileCase(SynchronousTestCase):
    """Alice, who has one registry, which is hostile first."""

    def setUp(self) -> None:
        self.world = World(8)
        self.world.host.kill()
        self.world.host.boot()
        self.hostile = Hostile(self.world)
        site = Site(self.hostile, reactor=self.world.host.reactor)
        self.world.host.reactor.listenTCP(HTTP_PORT, site)
        self.alice = self.world.person("alice")

    def play(self, route: str, bodies: Iterator[Answer]) -> None:
        """Let the registry go through answers to one kind of request."""
        self.hostile.answers[route] = bodies
        self.world.wait(lambda: self.hostile.is_done.get(route), 100_000, f"all of {route}")

    def assert_back(self) -> None:
        """With an honest registry in its place, she is registered before long; nothing was odd."""
        self.world.host.kill()
        self.world.host.boot()
        self.world.boot_registry()
        self.world.wait(lambda: self.world.registered, 700, "the registration")
        self.world.internet.run(30)
        self.assertEqual(self.world.registered, 1)
        self.assertEqual(self.flushLoggedErrors(), [])
        for event in self.alice.events(events.RegistryLost) + self.alice.events(events.Trouble):
            self.assertEqual(event.reason, " ".join(event.reason.split()))
            self.assertNotRegex(event.reason, r"[.?]$|\(b?'|object at|:ivar")

    def ask(self, what: Callable[[], Deferred[Any]]) -> Any:
        """Return the result of a request of the person's, or the error that they read."""
        try:
            return self.world.result(what(), 60)
        except P2PChatError as error:
            return error


class AnswerTests(HostileCase):
    """The routes, one after the other."""

    def test_register(self) -> None:
        """Whatever a registration is answered with."""
        self.play("register", (Answer(200, body) for body in poisoned(REGISTERED)))
        self.assert_back()

    def test_problems(self) -> None:
        """Whatever it is refused with, work included."""
        self.play("register", (Answer(429, body) for body in poisoned(PROBLEM)))
        self.assert_back()

    def test_renew(self) -> None:
        """Whatever a renewal is answered with."""
        bodies = [*poisoned({"a": 1}), *poisoned(PROBLEM), b"\xff", b"[" * 100_000]
        statuses = (200, 204, 404, 429, 500)
        self.play("renew", (Answer(statuses[n % 5], body) for n, body in enumerate(bodies)))
        self.assert_back()

    def test_statuses(self) -> None:
        """Whatever status it is, with a body and without one."""
        statuses = [*range(200, 320), *range(399, 600, 10), 0, 99, 100, 101, 600, 999, 10**9]
        bodies = (b"", b"{}", written(PROBLEM))
        found = [Answer(status, body) for status in statuses for body in bodies]
        self.play("register", iter(found[::SHARE_OF_BOTH]))
        self.assert_back()

    def test_headers(self) -> None:
        """Whatever stands in the headers."""
        dates = (b"Thu, 01 Jan 1970 00:00:00 GMT", b"Mon, 99 Foo 2020 99:99:99 GMT")
        values = (*dates, b"", b"-1", b"1e9", b"9" * 400, b"\xff", b"gzip", b"x" * 9000)
        names = (b"date", b"retry-after", b"content-type", b"content-encoding", b"location")
        pairs = [(name, value) for name in names for value in values]
        found = [
            Answer(status, body, headers)
            for pair in pairs
            for status, body in ((200, written(REGISTERED)), (429, written(PROBLEM)))
            for headers in ((pair,), (pair, pair))
        ]
        self.play("register", iter(found[::SHARE_OF_BOTH]))
        self.assert_back()

    def test_events(self) -> None:
        """Whatever comes down the event stream."""
        texts = [value for value in VALUES if isinstance(value, str)]
        lines = [text.encode("utf-8", "replace") for text in texts]
        lines += [written({"a": value}) for value in VALUES]
        names = (b"document", b"ready", b"removed", b"expired", b"bye", b"", b"\xff")
        streams = [
            b"event: %b\ndata: %b\n\n" % (name, re.sub(rb"[\r\n]", b"", line))
            for name in names
            for line in lines[len(name) % SHARE :: SHARE]
        ]
        streams += [b"\n" * 60_000, b"data\n" * 9000, b"\xff", b"data:" + b"x" * 60_000, b"\x00"]
        self.play("events", (Answer(200, stream) for stream in streams))
        self.assert_back()

    def test_displaced(self) -> None:
        """Whatever it says of another program, the peer comes back, later."""
        streams = [b"event: superseded\ndata: %b\n\n" % written({"a": one}) for one in VALUES[:2]]
        asked = islice(
            poisoned({"peer_id": "", "online": True}), 0, None, 8 // SHARE
        )  # a quarter of an hour for each
        self.hostile.answers["peer"] = (Answer(200, body) for body in asked)
        self.play("events", (Answer(200, stream) for stream in streams))
        self.hostile.answers["peer"] = iter(())
        self.world.host.kill()
        self.world.host.boot()
        self.world.boot_registry()
        self.world.wait(lambda: self.world.registered, 4000, "the registration")


class QuestionTests(HostileCase):
    """What a person asks."""

    def test_peers(self) -> None:
        """A list of whatever is shown, on both kinds of screen, or refused with a sentence."""
        self.hostile.answers["peers"] = (
            Answer(200, body) for body in poisoned({"peers": [RECORD], "next": None})
        )
        wording = Wording("alice")
        while not self.hostile.is_done.get("peers"):
            found = self.ask(self.alice.node.peers)
            if isinstance(found, list):
                shown = results.PeerList(tuple(found))
                wording.say(shown)
                json_form.encode("peers", 0.0, attrs.asdict(shown))
        self.assert_back()

    def test_connect(self) -> None:
        """A name is looked up, and the offer delivered, or not, with whatever answer."""
        self.hostile.answers["peers"] = (
            Answer(200, body) for body in poisoned({"peers": [RECORD], "next": None})
        )
        bodies = [*poisoned({"delivered": True}), *poisoned(PROBLEM)]
        self.hostile.answers["deliver"] = (
            Answer((200, 404, 429, 503)[n % 4], body) for n, body in enumerate(bodies)
        )
        while not self.hostile.is_done.get("peers"):
            self.ask(lambda: self.alice.node.connect("bob"))
            for one in self.alice.node.conversations():
                self.alice.node.disconnect(one.peer_id)
        self.assert_back()
