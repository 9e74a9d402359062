"""One who opens streams of services by hand, and means no good; or only speaks a newer version."""

from __future__ import annotations

from random import Random

from p2pchat.session.byte_streams import HALF_OPEN, MAX_OPEN, REFUSED_WORK
from p2pchat.session.live_link import RuleBroken
from p2pchat.session.service_stream import WINDOW, ServiceStream
from p2pchat.session.stages import StreamStirred
from p2pchat.session.streams import CONTROL_BURST, CONTROL_INTERVAL
from p2pchat.wire.framing import encode_frame
from p2pchat.wire.messages import Credit, Opening, StreamRefusal
from tests.cases import each
from tests.session.test_newer_peer import LinkCase


def opening(service: str = "web") -> bytes:
    """Return the first frame of a stream."""
    return encode_frame(Opening("service", service).encode())


class HostileCase(LinkCase):
    """Alice writes what she likes; Bob's program looks at what is stirred."""

    def setUp(self) -> None:
        super().setUp()
        self.greet("services")

    def asked(self) -> list[ServiceStream]:
        """Return the streams that Bob's program was asked for, in order."""
        found = [one.stream for one in self.bob.told if isinstance(one, StreamStirred)]
        return list(dict.fromkeys(found))

    def send(self, stream: int, data: bytes, end: bool = False) -> None:
        """Write on a bidirectional stream of Alice's."""
        self.alice.connection.send(4 * stream, data, end)

    def is_broken(self) -> bool:
        """Tell whether a rule was found broken."""
        return any(isinstance(one, RuleBroken) for one in self.bob.told)


class NewerTests(HostileCase):
    """What a newer program may say."""

    def test_members(self) -> None:
        """Members of an opening that aren't known are passed over."""
        self.send(0, encode_frame(b'{"kind":"service","of":"web","at":[1]}'))
        self.assert_alive()
        self.assertEqual([one.service for one in self.asked()], ["web"])

    def test_over(self) -> None:
        """CREDIT and REFUSED for what is over, or never was, change nothing."""
        for stream in (0, 4, 1, 2**40):
            self.alice.say(Credit(stream, 10**9))
            self.alice.say(StreamRefusal(stream, "not-granted"))
        self.assert_alive()


class BoundTests(HostileCase):
    """What it costs."""

    def test_many(self) -> None:
        """Of a hundred at once those are asked for that may be open; the others are refused."""
        for number in range(MAX_OPEN + 20):
            self.send(number, opening())
        self.wire.run(0.5)
        self.assertEqual(len(self.asked()), MAX_OPEN)
        over = range(MAX_OPEN, MAX_OPEN + 20)
        self.assertEqual(
            self.heard(StreamRefusal), [StreamRefusal(4 * one, "too-many") for one in over]
        )
        self.assert_alive()

    def test_half_open(self) -> None:
        """Openings that never come whole are given up."""
        for number in range(MAX_OPEN):
            self.send(number, opening()[:7])
        self.wire.run(HALF_OPEN + 1)
        self.assertEqual(len(self.heard(StreamRefusal)), MAX_OPEN)
        self.send(MAX_OPEN, opening())
        self.assert_alive()
        self.assertEqual(len(self.asked()), 1)

    def test_refused_often(self) -> None:
        """Whoever is refused again and again is slowed down, and the link goes on."""
        rounds = 2 * CONTROL_BURST // REFUSED_WORK
        began = self.wire.now
        for number in range(rounds):
            self.send(number, opening("no"))
            self.wire.run(0.02)
            self.asked()[-1].refuse()
        self.wire.run_until(lambda: len(self.heard(StreamRefusal)) >= rounds, 30)
        least = (rounds * REFUSED_WORK - CONTROL_BURST) * CONTROL_INTERVAL
        self.assertGreaterEqual(self.wire.now - began, least)
        self.assert_alive()

    def test_goes_on(self) -> None:
        """What is written on after a refusal is dropped, however much it is."""
        self.send(0, opening("no"))
        self.wire.run(0.1)
        (stream,) = self.asked()
        stream.refuse()
        self.wire.run(0.1)
        for _ in range(10):
            self.send(0, bytes(100_000))
            self.wire.run(0.1)
        self.assertEqual(stream.waiting, 0)
        self.assert_alive()


class BrokenTests(HostileCase):
    """What no version may do ends the link of whoever does it."""

    @each(
        encode_frame(b"no json"),
        encode_frame(b'{"kind":"service","of":"../etc"}'),
        encode_frame(b'{"kind":"service","of":"' + b"x" * 64 + b'"}'),
        encode_frame(b'{"kind":"service"}'),
        b"\x00\x01\x00\x00",
    )
    def test_openings(self, data: bytes) -> None:
        """A malformed opening, or a name that is none."""
        self.send(0, data)
        self.wire.run(0.2)
        self.assertTrue(self.is_broken())
        self.assertEqual(self.asked(), [])

    def test_more_than_credit(self) -> None:
        """More bytes than the window has."""
        self.send(0, opening())
        self.wire.run(0.1)
        self.send(0, bytes(WINDOW + 1))
        self.wire.run(2)
        self.assertTrue(self.is_broken())
        (stream,) = self.asked()
        self.assertLessEqual(stream.waiting, WINDOW)

    @each(*range(8))
    def test_anything(self, seed: int) -> None:
        """Whatever bytes come on whatever streams, nothing but broken rules comes of it."""
        random, ended = Random(seed), set[int]()
        for _ in range(60):
            number = random.choice([one for one in range(40) if one not in ended])
            data = random.choice((opening(), opening("ssh"), random.randbytes(9), bytes(4), b""))
            if random.random() < 0.1:
                self.alice.connection.refuse(4 * number)
                ended.add(number)
            elif data:
                is_last = random.random() < 0.1
                self.send(number, data, is_last)
                ended |= {number} if is_last else set()
            if random.random() < 0.1:
                self.alice.say(Credit(random.randrange(200), random.randrange(2**40)))
            if random.random() < 0.1:
                self.alice.say(StreamRefusal(random.randrange(200), "not-granted"))
            self.wire.run(0.01)
            for stream in self.asked():
                random.choice((stream.accept, stream.refuse, stream.read, stream.finish))()
        if not self.is_broken():
            self.assert_alive()
