"""Whose requests pass the lock of a page on loopback."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.forwarding.web_lock import Headers, PageAnswer, WebLock
from tests.cases import each

HOST = "bob-web.localhost:8321"
ADDRESS = b"http://" + HOST.encode()


class LockTests(SynchronousTestCase):
    """One port, and one browser that was let in."""

    def setUp(self) -> None:
        self.count = 0
        self.lock = WebLock(HOST, self.random)
        self.visits: list[str] = []
        self.lock.opened = lambda: self.visits.append(self.lock.address)
        self.cookie = self.visit()

    def random(self, size: int) -> bytes:
        """Return other bytes each time."""
        self.count += 1
        return bytes([self.count]) * size

    def path(self) -> bytes:
        """Return the path that lets one browser in."""
        return self.lock.address.encode().removeprefix(ADDRESS)

    def visit(self) -> bytes:
        """Be let in; return the cookie."""
        found = self.check(self.path())
        assert isinstance(found, PageAnswer)
        self.assertEqual(found.status, 200)
        (cookie,) = [value for name, value in found.headers if name == b"Set-Cookie"]
        self.assertIn(b"HttpOnly; SameSite=Strict", cookie)
        return cookie.partition(b";")[0]

    def check(
        self, path: bytes = b"/", headers: Headers = (), method: bytes = b"GET"
    ) -> PageAnswer | Headers:
        """Check a request with our Host."""
        return self.lock.check(method, path, [(b"Host", HOST.encode()), *headers])

    def status(self, *given: object) -> int:
        """Return with what a request is refused."""
        found = self.check(*given)  # type: ignore[arg-type]
        assert isinstance(found, PageAnswer)
        return found.status

    def test_let_in(self) -> None:
        """With the cookie a request goes on, without the cookie itself."""
        headers = [(b"Cookie", b"theirs=1; " + self.cookie), (b"X", b"y")]
        self.assertEqual(
            self.check(b"/page", headers),
            [(b"Host", HOST.encode()), (b"Cookie", b"theirs=1"), (b"X", b"y")],
        )

    def test_once(self) -> None:
        """An address lets in once; there is another then, and who opened it is told."""
        path = self.path()
        self.assertEqual(self.visits, [self.lock.address])
        self.visit()
        self.assertEqual(self.status(path), 403)
        self.assertEqual(len(self.visits), 2)

    @each(b"evil.example", b"127.0.0.1:8321", b"bob-web.localhost", b"localhost:8321", b"")
    def test_other_names(self, name: bytes) -> None:
        """A name that somebody lets mean loopback gets nothing, cookie or not."""
        found = self.lock.check(b"GET", b"/", [(b"host", name), (b"cookie", self.cookie)])
        assert isinstance(found, PageAnswer)
        self.assertEqual(found.status, 421)

    def test_two_names(self) -> None:
        """Nor does a request with two."""
        self.assertEqual(
            self.status(b"/", [(b"host", HOST.encode()), (b"cookie", self.cookie)]), 421
        )

    @each(b"", b"p2pchat-8321=", b"p2pchat-8321=AAAA", b"p2pchat-1=x")
    def test_no_cookie(self, cookie: bytes) -> None:
        """Without the cookie, or with another, nothing goes on."""
        self.assertEqual(self.status(b"/", [(b"Cookie", cookie)]), 403)

    @each(b"http://evil.example", b"http://localhost:8321", ADDRESS + b".evil.example")
    def test_other_origins(self, origin: bytes) -> None:
        """A page from elsewhere can't ask, though the browser has the cookie."""
        headers = [(b"Cookie", self.cookie), (b"Origin", origin)]
        self.assertEqual(self.status(b"/", headers, b"POST"), 403)

    def test_own_origin(self) -> None:
        """A page of the service's own can."""
        headers = [(b"Cookie", self.cookie), (b"Origin", ADDRESS)]
        self.assertNotIsInstance(self.check(b"/", headers, b"POST"), PageAnswer)

    def test_own_paths(self) -> None:
        """What is below our own path never goes on, and the token takes no other method."""
        headers = [(b"Cookie", self.cookie)]
        self.assertEqual(self.status(b"/.p2pchat/x", headers), 403)
        self.assertEqual(self.status(self.path(), headers, b"POST"), 403)

    def test_no_path(self) -> None:
        """A proxy's kind of request is refused."""
        self.assertEqual(self.status(b"http://elsewhere/", [(b"Cookie", self.cookie)]), 400)

    def test_set_cookie(self) -> None:
        """The service can't set our cookie, and can its own."""
        own = (b"Set-Cookie", b"p2pchat-8321=theirs; Path=/")
        others = [(b"Set-Cookie", b"session=1"), (b"X", b"p2pchat-8321=")]
        self.assertEqual(list(self.lock.without_ours([own, *others])), others)

    def test_pages(self) -> None:
        """Our own pages are kept nowhere and shown in no frame."""
        found = self.check()
        assert isinstance(found, PageAnswer)
        names = {name for name, _ in found.all_headers}
        self.assertLessEqual({b"Cache-Control", b"X-Frame-Options", b"Referrer-Policy"}, names)
