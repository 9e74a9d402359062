"""
URLs of Redis stores: ``redis://[user:password@]host[:port][/database]``, ``rediss://`` for TLS.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import attrs

from p2pchat.errors import ConfigurationError

PORT = 6379  # TCP, registered with IANA
SCHEMES = {"redis": False, "rediss": True}


@attrs.frozen
class RedisUrl:
    """
    One database of one Redis server.

    :ivar user: empty: the default user.
    :ivar tls: whether the server must show a certificate for ``host``.
    """

    host: str
    port: int = PORT
    database: int = 0
    user: str = ""
    password: str = attrs.field(default="", repr=False)
    tls: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"redis{'s' * self.tls}://{host}:{self.port}/{self.database}"


def parse_redis_url(text: str) -> RedisUrl:
    """
    Read a URL; what is percent-encoded in user and password is decoded.

    :raises ConfigurationError: it isn't one, or names what we don't know.
    """
    try:
        parts = urlsplit(text)
        port = parts.port or PORT
    except ValueError as error:
        raise ConfigurationError(f"no URL: {error}") from None
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ConfigurationError("no URL such as redis://127.0.0.1:6379/0")
    database = parts.path.removeprefix("/") or "0"
    if not (database.isascii() and database.isdigit() and len(database) < 6):
        raise ConfigurationError(f"{database!r} is no number of a database")
    if parts.query or parts.fragment:
        raise ConfigurationError("nothing may follow the number of the database")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return RedisUrl(parts.hostname, port, int(database), user, password, SCHEMES[parts.scheme])
