"""
Token buckets: how often one source may ask.

A bucket holds ``burst`` tokens and gains ``rate`` of them a second; a request takes one.  A source
is an address (:func:`source_of`) or a peer id.  A table is bounded: above its
capacity the bucket that was used least recently goes, full or not.

There are several tables, because they protect different things: signed documents, by address (a
signature check); accepted documents, by the key that signed them, whatever addresses they come
from; everything else that is asked over HTTP, by address, and apart from it what those ask who
watch the registry, lest others' questions make it seem dead; STUN requests, by the address that
they claim to come from, which is also where the answers go; names of nameplates that nobody has,
by address, lest the short ones be found by trying; ids whose presence is asked for, by address;
tokens of mailboxes that aren't good, by address, and bytes left in mailboxes, by token; and the
bytes that one recipient is sent by peers that it never wrote to
(:mod:`p2pchat.registry.admission.solicited`).
"""

from __future__ import annotations

import re
from collections import OrderedDict

import attrs

from p2pchat.errors import ConfigurationError, RemoteProtocolError
from p2pchat.wire.addresses import parse_ip

MAX_SOURCES = 10_000  # of a table; about 250 bytes each
_RATE = re.compile(r"([0-9]{1,6})/([0-9]{1,6})", re.ASCII)


@attrs.frozen
class Rate:
    """
    A rate that is allowed.

    :ivar rate: tokens a second; 0: without limit.
    :ivar burst: tokens at once.
    """

    rate: float
    burst: float

    def __str__(self) -> str:
        return f"{self.rate:g}/{self.burst:g}" if self.rate else "0"

    @classmethod
    def parse(cls, text: str) -> Rate:
        """
        Read ``RATE/BURST``, or ``0``: no limit.

        :raises ConfigurationError: it is neither.
        """
        if text == "0":
            return cls(0, 0)
        found = _RATE.fullmatch(text)
        if found is None or not int(found[1]) or not int(found[2]):
            raise ConfigurationError(f"{text!r} is no RATE/BURST such as 50/200, nor 0")
        return cls(float(found[1]), float(found[2]))


DOCUMENTS = Rate(50, 200)  # a peer renews its lease a few times a minute; an office has many
KEYS = Rate(20, 100)  # an attempt to find a path takes about five documents
READS = Rate(50, 200)  # a look-up takes a third of a signature check, a page of 200 ten of these
WATCHING = Rate(20, 100)  # a balancer asks every second, Prometheus four times a minute
NAMEPLATES = Rate(1, 30)  # names that nobody has; six figures are guessed in six days so
PRESENCE = Rate(50, 1000)  # ids; as many a second as look-ups one by one would show
MAILBOXES = Rate(1, 30)  # tokens that aren't good; nobody finds one of 256 bits, each costs a look
DEPOSITS = Rate(8192, 524_288)  # bytes by one token: twice its quota at once, and replaced as fast
UNSOLICITED = Rate(8192, 131_072)  # bytes to one peer; a call takes 2 to 6 kB until its answer
STUN = Rate(100, 400)  # a peer asks three addresses every 20 seconds; an office has many


@attrs.frozen
class Rates:
    """The rates that the operator allows; see :mod:`p2pchat.registry.admission.rates`."""

    documents: Rate = DOCUMENTS
    keys: Rate = KEYS
    reads: Rate = READS
    stun: Rate = STUN
    watching: Rate = WATCHING
    unsolicited: Rate = UNSOLICITED
    nameplates: Rate = NAMEPLATES
    presence: Rate = PRESENCE
    mailboxes: Rate = MAILBOXES
    deposits: Rate = DEPOSITS


@attrs.frozen
class Limits:
    """
    Limits of how many there may be at the same time.

    :ivar total: in all.
    :ivar per_source: from one source.
    """

    total: int
    per_source: int


@attrs.define
class TokenBuckets:
    """The buckets of all sources."""

    rate: Rate
    capacity: int = MAX_SOURCES
    _levels: OrderedDict[str, tuple[float, float]] = attrs.field(init=False, factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, source: str, now: float, tokens: float = 1.0) -> float:
        """
        Take a token, or several; return 0, or the seconds after which there will be as many.

        :param source: an IP address, or any other name.
        """
        if not self.rate.rate:
            return 0.0
        source = source_of(source)
        level, wait = self._look(source, now, tokens)
        self._levels[source] = (level if wait else level - tokens, now)
        self._levels.move_to_end(source)
        if len(self._levels) > self.capacity:
            self._levels.popitem(last=False)
        return wait

    def wait(self, source: str, now: float, tokens: float = 1.0, reserved: float = 0.0) -> float:
        """
        Return the seconds after which there will be as many tokens, and take none.

        :param reserved: tokens that must be left then; with more than the bucket holds there is no
            such time, and the answer is only more than 0.
        """
        if not self.rate.rate:
            return 0.0
        return self._look(source_of(source), now, tokens, reserved)[1]

    def _look(
        self, source: str, now: float, tokens: float, reserved: float = 0.0
    ) -> tuple[float, float]:
        rate, burst = self.rate.rate, self.rate.burst
        level, then = self._levels.get(source, (burst, now))
        level = min(burst, level + (now - then) * rate)
        return level, max(0.0, min(tokens, burst) + reserved - level) / rate


def source_of(name: str) -> str:
    """
    Return whom the limits count as one, of an address: its IPv6 /64, or itself.

    A /64 is the least that one subscriber is given (RFC 6177).  Any other name is one of its own.
    """
    if ":" not in name:
        return name
    try:
        return parse_ip(name).packed[:8].hex()
    except RemoteProtocolError:
        return name
