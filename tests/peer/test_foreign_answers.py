"""Who else answers than a registry, in words."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from p2pchat.peer.foreign_answers import MAX_HOST, ForeignAnswer, foreign_answer
from tests.cases import each

SERVER = "http://registry.test:8000"


def said(status: int, body: bytes = b"", **headers: str) -> ForeignAnswer:
    """Return the error for an answer."""
    fields = Headers({name.replace("_", "-"): [value] for name, value in headers.items()})
    return foreign_answer(SERVER, status, fields, body)


class WordsTests(SynchronousTestCase):
    """The sentences."""

    @each(
        (200, b"<html>Welcome</html>", "a page of its own and is no p2pchat registry"),
        (200, b"", "nothing, as no p2pchat registry does"),
        (200, b"{}", "JSON that isn't a p2pchat registry's"),
        (200, b"hello", "something else than a p2pchat registry does"),
        (401, b"<html></html>", "wants a user name and a password (401 Unauthorized)"),
        (404, b"<html></html>", "answered (404 Not Found) with a page"),
        (404, b"<html></html>", "or another server is there"),
        (429, b"<html></html>", "takes no more for now (429 Too Many Requests)"),
        (404, b"<html></html>", "is no p2pchat registry: perhaps this network wants you to log in"),
        (403, b"<html></html>", "(403 Forbidden): perhaps a filter or a firewall"),
        (407, b"", "a proxy on the way, which wants a password"),
        (511, b"<html></html>", "this network, which wants you to log in first (511 Network Auth"),
        (500, b"oops", "(500 Internal Server Error)"),
        (502, b"<html>nginx</html>", "says that it is away (502 Bad Gateway)"),
        (503, b"", "says that it is away (503 Service Unavailable)"),
        (504, b"", "says that it is away (504 Gateway Timeout)"),
        (521, b"", "says that it is away (HTTP status 521)"),
        (999, b"", "an HTTP status that there isn't"),
    )
    def test_who(self, status: int, body: bytes, words: str) -> None:
        """What seems to have answered is named, after the address that was asked."""
        error = said(status, body)
        self.assertIn(words, str(error))
        self.assertTrue(str(error).startswith(SERVER))
        self.assertEqual(error.status, 0 if status == 200 else status)

    def test_redirect(self) -> None:
        """A redirect is told with the host that it leads to, and nothing else of it."""
        place = "http://portal.hotel.example:8888/login?secret=1"
        words = str(said(302, location=place))
        self.assertIn("sends us to portal.hotel.example (HTTP status 302)", words)
        self.assertIn("captive portal", words)
        self.assertNotIn("secret", words)

    @each("/login", "", "http://[::1", "javascript:alert(1)")
    def test_nowhere(self, place: str) -> None:
        """One that names no host leads to a page of the server's own."""
        self.assertIn("sends us to another page of its own", str(said(302, location=place)))

    def test_hostile_place(self) -> None:
        """A host that a terminal would obey is made visible, and bounded."""
        words = str(said(302, location="http://a\x1b]0;pwned\x07\u202e" + "b" * 5000 + "/"))
        self.assertTrue(words.isprintable())
        self.assertLess(len(words), 300 + MAX_HOST)

    def test_moved_to_tls(self) -> None:
        """One to the same host over https is the registry's new address."""
        words = str(said(301, location="https://registry.test/register"))
        self.assertIn("sends us to https://registry.test:443", words)
        self.assertIn("give that address", words)

    def test_soon(self) -> None:
        """Whoever is near may let us through soon; a server whose registry is away isn't near."""
        self.assertEqual(
            [said(status).may_pass for status in (200, 302, 404, 511, 429, 502, 503, 504, 521)],
            [True] * 4 + [False] * 5,
        )
