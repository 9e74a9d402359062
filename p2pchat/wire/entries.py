"""
Frames of a conversation: its entries, and what each side has of their logs; big endian.

::

    HAVE    0x01 | items, each  author 16 | log 16 | oldest 8 | number 8 | hash 32
    ENTRY   0x02 | an entry
    READ    0x03 | items, each  author 16 | log 16 | number 8
    PAUSE   0x05 | until 8          nothing of its reader's is stored before, in seconds since 1970

    entry   conversation 16 | author 16 | person 16 | log 16 | number 8 | previous 32 |
            lamport 8 | sent_at 8 | kind 1 + n | after 2 + n * 40 | body 4 + n | signature 2 + n

A log is what one author says in one conversation until it begins another one: its entries are
numbered from 1, and each has the SHA-256 of the one before it, as it came, for ``previous``.  So
bytes of an entry are kept, hashed and passed on as they are, with what this program doesn't know.

An item of HAVE says what its sender has of a log: all up to ``number``, whose hash it tells, and of
which it can pass on what begins at ``oldest``.  One of READ says how far its sender's person has
read a log; it only rises.

Refuses what is cut short.  What follows a signature is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from struct import Struct
from struct import error as StructError
from typing import Any, NamedTuple

from p2pchat.errors import RemoteProtocolError

HAVE, ENTRY, READ, PAUSE = b"\x01", b"\x02", b"\x03", b"\x05"  # 0x04 is of envelopes
TEXT = "text"  # the kind of an entry whose body is UTF-8
MAX_TEXT = 32768  # characters of one message; a page of print has 3,000
MAX_ITEMS = 1024  # of a HAVE
MAX_AFTER = 32  # entries that one may name as those before it
MAX_TIME = 10**17  # microseconds; as in documents
MAX_NUMBER = 2**62  # of entries and Lamport times: nobody reaches it, and one more is no trouble
NOTHING = bytes(32)  # ``previous`` of the first entry

_CONVERSATION = b"p2pchat 2 conversation\x00"
_HEAD = Struct("!16s16s16s16sQ32sQQB")
_COUNT, _LENGTH, _KNOWN = Struct("!H"), Struct("!I"), Struct("!16s16sQ")
_ITEM = Struct("!16s16sQQ32s")
UNSIGNED = _COUNT.size  # bytes of an empty signature


def conversation_id(one: bytes, other: bytes) -> bytes:
    """Return the id of the conversation of two persons, by their raw ids."""
    return sha256(_CONVERSATION + min(one, other) + max(one, other)).digest()[:16]


class Known(NamedTuple):
    """An entry that the author of another had when it was written."""

    author: bytes
    log: bytes
    number: int


class Item(NamedTuple):
    """A log, and how much somebody has of it; the hash is zeros where it isn't known."""

    author: bytes
    log: bytes
    oldest: int
    number: int
    hash: bytes = NOTHING


# A tuple: fifty thousand are made in a second, and a frozen class takes five times as long.
class LogEntry(NamedTuple):
    """
    One entry of a log.

    :ivar conversation: the id of the conversation, 16 bytes, as other ids are.
    :ivar author: who wrote it, and has the log.
    :ivar person: whose program that is.
    :ivar number: counts from 1 in its log.
    :ivar previous: the hash of the entry before it.
    :ivar lamport: greater than that of every entry that its author had.
    :ivar sent_at: microseconds since 1970 by the author's clock.
    :ivar kind: what the body is; a word.
    :ivar after: the last entry of other logs that its author had, unless an earlier one says so;
        one of the author's own is where the same was said first.
    :ivar signature: empty where that of a later one covers it.
    """

    conversation: bytes
    author: bytes
    person: bytes
    log: bytes
    number: int
    previous: bytes
    lamport: int
    sent_at: int
    kind: str
    after: tuple[Known, ...]
    body: bytes
    signature: bytes = b""

    @property
    def unsigned_size(self) -> int:
        """How many bytes of it stand before the signature."""
        lists = len(self.after) * _KNOWN.size + _COUNT.size + _LENGTH.size
        return _HEAD.size + len(self.kind) + lists + len(self.body)

    @property
    def said_first(self) -> Known | None:
        """Where its author wrote the same before."""
        return next((one for one in self.after if one.author == self.author), None)

    def encode(self) -> bytes:
        """Write the entry."""
        return b"".join(
            (
                _HEAD.pack(*self[:8], len(self.kind)),
                self.kind.encode("ascii"),
                _COUNT.pack(len(self.after)),
                *[_KNOWN.pack(*one) for one in self.after],
                _LENGTH.pack(len(self.body)),
                self.body,
                write_signature(self.signature),
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> LogEntry:
        """
        Read an entry.

        :raises RemoteProtocolError: it is cut short, or has numbers that nobody reaches.
        """
        try:
            head = _HEAD.unpack_from(data)
            number, lamport, sent_at, length = head[4], *head[6:]
            at = _HEAD.size + length
            kind = data[_HEAD.size : at].decode("ascii")
            (count,) = _COUNT.unpack_from(data, at)
            after_at = at + _COUNT.size
            length_at = after_at + count * _KNOWN.size
            (length,) = _LENGTH.unpack_from(data, length_at)
            at = length_at + _LENGTH.size
            end = at + length
            (length,) = _COUNT.unpack_from(data, end)
        except (StructError, UnicodeDecodeError):
            raise RemoteProtocolError("an entry that is cut short, or has no kind") from None
        signature = data[end + _COUNT.size : end + _COUNT.size + length]
        if len(signature) < length or not kind:
            raise RemoteProtocolError("an entry that is cut short, or has no kind")
        if number > MAX_NUMBER or lamport > MAX_NUMBER or sent_at > MAX_TIME:
            raise RemoteProtocolError("an entry with a number that nobody reaches")
        after = _known(data[after_at:length_at]) if count else ()
        body = data[at:end]
        return cls._make((*head[:8], kind, after, body, signature))


def write_signature(signature: bytes) -> bytes:
    """Write the last field of an entry."""
    return _COUNT.pack(len(signature)) + signature


def _known(items: bytes) -> tuple[Known, ...]:
    if len(items) > MAX_AFTER * _KNOWN.size:
        raise RemoteProtocolError(f"an entry that comes after more than {MAX_AFTER} others")
    return tuple(map(Known._make, _KNOWN.iter_unpack(items)))


def read_text(body: bytes) -> str:
    """
    Read the body of a text.

    :raises RemoteProtocolError: no UTF-8, or too long.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise RemoteProtocolError("a text must be UTF-8") from None
    if len(text) > MAX_TEXT:
        raise RemoteProtocolError(f"a text is longer than {MAX_TEXT} characters")
    return text


def write_text(text: str) -> bytes:
    """Write the body of a text; lone surrogates, which UTF-8 can't carry, become U+FFFD."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8")


def encode_have(items: Iterable[Item]) -> bytes:
    """Write a HAVE, with the byte of its type."""
    return HAVE + b"".join([_ITEM.pack(*item) for item in items])


def decode_have(items: bytes) -> list[Item]:
    """
    Read what follows the byte of a HAVE.

    :raises RemoteProtocolError: cut short, too many items, or numbers that nobody reaches.
    """
    found = [Item(*item) for item in _unpack(_ITEM, items, "HAVE")]
    if any(max(item.oldest, item.number) > MAX_NUMBER for item in found):
        raise RemoteProtocolError("HAVE with a number that nobody reaches")
    return found


def _unpack(item: Struct, items: bytes, name: str) -> Iterator[tuple[Any, ...]]:
    if len(items) % item.size or len(items) > MAX_ITEMS * item.size:
        raise RemoteProtocolError(f"{name} with {len(items)} bytes of items")
    return item.iter_unpack(items)


def encode_read(marks: Iterable[Known]) -> bytes:
    """Write a READ, with the byte of its type."""
    return READ + b"".join([_KNOWN.pack(*mark) for mark in marks])


def decode_read(items: bytes) -> list[Known]:
    """
    Read what follows the byte of a READ.

    :raises RemoteProtocolError: cut short, too many items, or numbers that nobody reaches.
    """
    found = [Known(*item) for item in _unpack(_KNOWN, items, "READ")]
    if any(one.number > MAX_NUMBER for one in found):
        raise RemoteProtocolError("READ with a number that nobody reaches")
    return found
