"""
The lock of a web proxy on loopback: whose requests go on to the service; pure.

Others than the person reach loopback, and a browser can be made to: pages from elsewhere, by a
name that they let mean 127.0.0.1 (DNS rebinding), and other users of the machine.  So::

    Host isn't ours, to the letter                      421  a page that names our address
    /.p2pchat/TOKEN, the token of this visit            200  sets the cookie, goes on to /
    /.p2pchat/ anything else                            403
    the cookie isn't there, or wrong                    403  a page that says who can open it
    Origin is another than ours                         403
    else                                                goes on, without the cookie

A token is good for one visit: an address that stays in a history opens nothing.  The cookie has
the port in its name, for cookies of one host go to all its ports.  Nothing below /.p2pchat/ goes to
the service, and neither token nor cookie does.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from hmac import compare_digest
from html import escape

import attrs

SECRET = 16  # bytes of a token and of the cookie: 128 bits
OWN_PATH = b"/.p2pchat/"

Headers = Sequence[tuple[bytes, bytes]]  # names as they came, in any case

_PAGE = (
    "<!DOCTYPE html>\n<html><head><meta charset='utf-8'>{head}<title>{title}</title></head>"
    "<body style='font-family:sans-serif;max-width:40em;margin:4em auto'>"
    "<h1>{title}</h1><p>{text}</p></body></html>\n"
)


@attrs.frozen
class PageAnswer:
    """
    A page of our own, instead of the service's answer.

    :ivar headers: beside those that each page has.
    """

    status: int
    body: bytes
    headers: Headers = ()

    @property
    def all_headers(self) -> Headers:
        """Every header, so that nobody keeps the page or puts it into a frame."""
        return (
            (b"Content-Type", b"text/html; charset=utf-8"),
            (b"Content-Length", b"%d" % len(self.body)),
            (b"Cache-Control", b"no-store"),
            (b"Referrer-Policy", b"no-referrer"),
            (b"X-Frame-Options", b"DENY"),
            *self.headers,
        )


def page(status: int, title: str, text: str, headers: Headers = (), head: str = "") -> PageAnswer:
    """Make a page; title and text are shown as they are."""
    filled = _PAGE.format(head=head, title=escape(title), text=escape(text))
    return PageAnswer(status, filled.encode("utf-8"), headers)


@attrs.define(eq=False)
class WebLock:
    """
    The lock of one port.

    :ivar host: what Host must be, such as ``bob-web.localhost:8321``.
    :ivar opened: called when a browser was let in; the next has another address then.
    """

    host: str
    _random_bytes: Callable[[int], bytes]
    opened: Callable[[], None] = lambda: None
    _token: str = attrs.field(init=False, repr=False)
    _cookie: str = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._token, self._cookie = self._secret(), self._secret()

    @property
    def address(self) -> str:
        """The address that lets one browser in."""
        return f"http://{self.host}{OWN_PATH.decode()}{self._token}"

    @property
    def cookie_name(self) -> str:
        """The name of our cookie."""
        return f"p2pchat-{self.host.rpartition(':')[2]}"

    def check(self, method: bytes, path: bytes, headers: Headers) -> PageAnswer | Headers:
        """Return the headers with which a request goes on, or the page that answers it."""
        hosts = _values(headers, b"host")
        if len(hosts) != 1 or hosts[0].lower() != self.host.encode():
            text = f"This is http://{self.host}/ and answers to no other name."
            return page(421, "Another address", text)
        if path.startswith(OWN_PATH):
            return self._visit(method, path)
        if not path.startswith(b"/") and path != b"*":
            return page(400, "No path", "A request names a path that begins with a slash.")
        if not self._has_cookie(headers):
            text = (
                "Whoever ran “p2pchat open” can: the program prints an address that lets one "
                "browser in, and after that another."
            )
            return page(403, "Not open to this browser", text)
        ours = f"http://{self.host}".encode()
        if any(one not in {ours, b"null"} for one in _values(headers, b"origin")):
            return page(403, "Another origin", "Pages from elsewhere can't ask for this.")
        return self._without_cookie(headers)

    def without_ours(self, headers: Headers) -> Headers:
        """Leave out of a response what would set our cookie: the service has no say in it."""
        own = f"{self.cookie_name}=".encode()
        return [
            (name, value)
            for name, value in headers
            if name.lower() != b"set-cookie" or not value.lstrip().startswith(own)
        ]

    def _visit(self, method: bytes, path: bytes) -> PageAnswer:
        given = path.removeprefix(OWN_PATH)
        if method != b"GET" or not compare_digest(given, self._token.encode()):
            text = "The address was used before: the program that printed it has another by now."
            return page(403, "Used before", text)
        self._token = self._secret()
        self.opened()
        cookie = f"{self.cookie_name}={self._cookie}; Path=/; HttpOnly; SameSite=Strict"
        # Not a redirection: a browser that follows one from elsewhere doesn't send the cookie yet.
        head = "<meta http-equiv='refresh' content='0;url=/'>"
        return page(200, "Open", "Going on …", ((b"Set-Cookie", cookie.encode()),), head)

    def _has_cookie(self, headers: Headers) -> bool:
        wanted = f"{self.cookie_name}={self._cookie}".encode()
        return any(
            compare_digest(one, wanted)
            for value in _values(headers, b"cookie")
            for one in _cookies(value)
        )

    def _without_cookie(self, headers: Headers) -> Headers:
        """Leave our cookie out, whatever its value."""
        kept, own = [], f"{self.cookie_name}=".encode()
        for name, value in headers:
            if name.lower() != b"cookie":
                kept.append((name, value))
                continue
            others = [one for one in _cookies(value) if not one.startswith(own)]
            if others:
                kept.append((name, b"; ".join(others)))
        return kept

    def _secret(self) -> str:
        return urlsafe_b64encode(self._random_bytes(SECRET)).rstrip(b"=").decode()


def _values(headers: Headers, wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name.lower() == wanted]


def _cookies(value: bytes) -> list[bytes]:
    return [one.strip() for one in value.split(b";") if one.strip()]
