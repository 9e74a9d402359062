"""The credentials for relays, and who is told of them."""

from __future__ import annotations

import base64
import hashlib
import hmac

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.registry import Settings
from p2pchat.registry.relay_credentials import RelayCredentials
from p2pchat.wire.documents import Registration
from tests.registry.web import START, Web, identity

ALICE, BOB = identity(1), identity(2)
URLS = ("turn:relay.example:3478", "turns:relay.example:5349")
SECRET = b"north"


def relays(key: bytes = b"key", ttl: int = 86_400) -> RelayCredentials:
    """Make what a registry has."""
    return RelayCredentials(URLS, ttl, SECRET, key)


class RelayCredentialsTests(SynchronousTestCase):
    """TURN REST."""

    def test_scheme(self) -> None:
        """The username begins with its expiry, and the password is its HMAC, as coturn wants."""
        issued = relays(ttl=600).issue(ALICE.peer_id, 1000.9)
        expiry, _, pseudonym = issued.username.partition(":")
        self.assertEqual(expiry, "1600")
        self.assertRegex(pseudonym, "^[0-9a-f]{16}$")
        digest = hmac.new(SECRET, issued.username.encode(), hashlib.sha1).digest()
        self.assertEqual(issued.password, base64.b64encode(digest).decode())

    def test_pseudonyms(self) -> None:
        """A peer keeps its pseudonym, for quotas; another key or peer makes another."""
        first = relays().issue(ALICE.peer_id, 0.0).username.partition(":")[2]
        later = relays().issue(ALICE.peer_id, 5000.0).username.partition(":")[2]
        self.assertEqual(first, later)
        self.assertNotIn(first, ALICE.peer_id.replace("-", ""))
        others = [relays(b"other").issue(ALICE.peer_id, 0.0), relays().issue(BOB.peer_id, 0.0)]
        self.assertNotIn(first, [one.username.partition(":")[2] for one in others])

    def test_secret_is_not_shown(self) -> None:
        """Neither secret nor key is in what may be logged."""
        shown = repr(relays(b"pseudo"))
        self.assertNotIn("north", shown)
        self.assertNotIn("pseudo", shown.replace("_pseudonym_key", ""))


class RegistrationTests(SynchronousTestCase):
    """Who gets them."""

    def test_registered(self) -> None:
        """The answer to a registration has URLs, username, password and lifetime."""
        told = Web(Settings(relays=relays())).register(ALICE).json["turn"]
        issued = relays().issue(ALICE.peer_id, START)
        self.assertEqual(
            told,
            {
                "urls": list(URLS),
                "username": issued.username,
                "password": issued.password,
                "ttl": 86_400,
            },
        )

    def test_fresh(self) -> None:
        """Each renewal brings a later expiry."""
        web = Web(Settings(relays=relays()))
        first = web.register(ALICE).json["turn"]
        web.pass_time(20)
        second = web.register(ALICE).json["turn"]
        self.assertNotEqual(first["username"], second["username"])

    def test_nobody_else(self) -> None:
        """Records don't have them, refused registrations don't bring them."""
        web = Web(Settings(relays=relays()))
        forged = web.signed(ALICE, Registration("alice"), audience="http://elsewhere:1")
        self.assertNotIn(b"turn", web.post("/register", forged).body)
        web.register(ALICE)
        for path in (f"/peer/{ALICE.peer_id}", "/peers", "/status"):
            self.assertNotIn(b"turn", web.ask("GET", path).body)

    def test_no_relays(self) -> None:
        """A registry without relays says nothing of them."""
        self.assertNotIn("turn", Web().register(ALICE).json)
