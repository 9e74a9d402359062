"""What moves no path, and where nothing is ever sent."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.checks import MAX_RESPONSE
from p2pchat.traversal.pairs import MAX_PAIRS
from p2pchat.traversal.punching import LATER_ROUND
from p2pchat.traversal.routes import Route
from p2pchat.wire import stun
from tests.traversal.attempt_ends import A1, B1, B2, ELSEWHERE, KEY, PunchingCase, end, host
from tests.traversal.outboxes import checks_of


class ForgeryTests(PunchingCase):
    """Who doesn't know the key moves nothing."""

    def check(self, key: bytes = KEY, username: str = "bbbb:aaaa", **more: object) -> stun.Message:
        """Make a check for Bob."""
        request = stun.request(b"t" * 12, USERNAME=username, **more)
        return stun.decode(stun.encode(request, key, fingerprint=True))

    def test_request(self) -> None:
        """A check with another key, username or no integrity is refused, and not answered."""
        bob = self.bob.punching
        bob.begin([], self.wire.now, True)
        bare = stun.decode(stun.encode(stun.request(b"t" * 12, USERNAME="bbbb:aaaa")))
        for message in (
            *(self.check(key=b"x"), self.check(username="bbbb:eeee"), bare),
            *(self.check(username="aaaa:bbbb"), self.check(username="bbbb")),
        ):
            self.assertFalse(bob.receive_request(message, Route(ELSEWHERE), self.wire.now))
        self.assertEqual(checks_of(bob), [])
        self.assertFalse(Route(ELSEWHERE) in bob.routes)
        self.assertTrue(bob.receive_request(self.check(), Route(ELSEWHERE), self.wire.now))
        self.assertTrue(Route(ELSEWHERE) in bob.routes)

    def test_padding(self) -> None:
        """A padded check is answered by as much only where somebody has answered one of ours."""
        bob = self.bob.punching
        self.joined()
        checks_of(bob)
        padded = self.check(PADDING=bytes(1000))
        for source, is_large in ((ELSEWHERE, False), (A1, True)):
            self.assertTrue(bob.receive_request(padded, Route(source), self.wire.now))
            (answer,) = [
                one.data
                for one in checks_of(bob)
                if stun.decode(one.data).message_class is stun.MessageClass.SUCCESS
            ]
            self.assertEqual(len(answer) > MAX_RESPONSE, is_large)
            self.assertEqual(len(answer) > 1000, is_large)

    def test_response(self) -> None:
        """A response with another key, of another class, or to nothing is refused."""
        alice = self.alice.punching
        alice.begin(host(B1), self.wire.now, False)
        request = stun.decode(checks_of(alice)[0].data)
        good = stun.success(request, XOR_MAPPED_ADDRESS=A1)
        for message, key in (
            (good, b"x"),
            (good, None),
            (stun.failure(request, 401, "Unauthorized"), KEY),
            (stun.success(stun.request(b"x" * 12), XOR_MAPPED_ADDRESS=A1), KEY),
        ):
            bad = stun.decode(stun.encode(message, key))
            self.assertFalse(alice.receive_response(bad, Route(B1), self.wire.now))
        self.assertIsNone(alice.path)
        read = stun.decode(stun.encode(good, KEY))
        self.assertTrue(alice.receive_response(read, Route(B1), self.wire.now))
        self.assertEqual(self.path(self.alice), B1)

    def test_other_address(self) -> None:
        """A response from another address than the check went to makes no pair valid."""
        alice = self.alice.punching
        alice.begin(host(B1, B2), self.wire.now, False)
        request = stun.decode(checks_of(alice)[0].data)
        answer = stun.decode(stun.encode(stun.success(request, XOR_MAPPED_ADDRESS=A1), KEY))
        self.assertFalse(alice.receive_response(answer, Route(B2), self.wire.now))
        self.assertFalse(alice.receive_response(answer, Route(ELSEWHERE), self.wire.now))
        self.assertIsNone(alice.path)

    def test_check_moves_no_path(self) -> None:
        """Traffic of an established attempt stays where it is when a check comes from elsewhere."""
        self.joined()
        self.wire.run(1)
        self.bob.punching.receive_request(self.check(), Route(ELSEWHERE), self.wire.now)
        self.assertEqual(self.path(self.bob), A1)
        self.wire.run(LATER_ROUND + 0.1)
        self.assertEqual(self.path(self.bob), A1)

    def test_bounded(self) -> None:
        """However many candidates and sources, at most MAX_PAIRS addresses are checked."""
        many = host(*((f"203.0.113.{n}", 1) for n in range(100)))
        self.bob.punching.begin(many, self.wire.now, False)
        for port in range(1, 100):
            self.bob.punching.receive_request(
                self.check(), Route(("192.0.2.1", port)), self.wire.now
            )
        self.assertEqual(len(self.bob.punching.checklist.pairs), MAX_PAIRS)


class ForbiddenTests(SynchronousTestCase):
    """Where nothing is ever sent."""

    FORBIDDEN = (
        *("224.0.0.1", "239.1.2.3", "255.255.255.255", "0.0.0.0", "0.1.2.3", "169.254.1.1"),
        *("240.0.0.1", "::", "ff02::1", "fe80::1", "::ffff:224.0.0.1", "::ffff:0.0.0.0"),
    )
    LOOPBACK = ("127.0.0.1", "127.0.1.1", "::1", "::ffff:127.0.0.1")

    def test_forbidden(self) -> None:
        """Not one datagram goes to an address that is no single host's, whatever an offer says."""
        one = end(1, "aaaa", "bbbb", ()).punching
        one.begin(host(*((ip, 9) for ip in (*self.FORBIDDEN, *self.LOOPBACK))), 100.0, False)
        for step in range(100):
            one.handle_timer(100.0 + step / 10)
        self.assertEqual((checks_of(one), one.checklist.pairs), ([], {}))
