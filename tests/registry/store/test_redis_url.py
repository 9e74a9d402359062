"""Where a store is."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError
from p2pchat.registry.store.redis_url import RedisUrl, parse_redis_url


class RedisUrlTests(SynchronousTestCase):
    """The URL that an operator writes."""

    def test_forms(self) -> None:
        """Port, database, user and password are optional."""
        for text, expected in (
            ("redis://127.0.0.1", RedisUrl("127.0.0.1")),
            ("redis://store.example:7000/3", RedisUrl("store.example", 7000, 3)),
            ("rediss://a:b%40c@[::1]:1/", RedisUrl("::1", 1, 0, "a", "b@c", True)),
            ("redis://:secret@host", RedisUrl("host", password="secret")),
        ):
            self.assertEqual(parse_redis_url(text), expected)

    def test_shown(self) -> None:
        """What is logged has everything but user and password."""
        url = parse_redis_url("rediss://user:secret@[::1]:1/2")
        self.assertEqual(str(url), "rediss://[::1]:1/2")
        self.assertNotIn("secret", repr(url))

    def test_bad(self) -> None:
        """What can't be used is said."""
        for text, expected in (
            ("localhost:6379", "no URL such as"),
            ("http://localhost", "no URL such as"),
            ("redis:///0", "no URL such as"),
            ("redis://host:x", "no URL: "),
            ("redis://host:99999", "no URL: "),
            ("redis://host/x", "'x' is no number of a database"),
            ("redis://host/0?ssl=1", "nothing may follow"),
        ):
            error = self.assertRaises(ConfigurationError, parse_redis_url, text)
            self.assertIn(expected, str(error))
