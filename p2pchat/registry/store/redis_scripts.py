"""
Scripts that Redis runs, each in one step of the server, and the keys that they use.

::

    p2pchat:clock               hash: wall and steady clock at the last beat, in milliseconds
    p2pchat:record:{peer}       a record
    p2pchat:registration:{peer} the document that it was made of
    p2pchat:used                sorted set of digests of nonces: when their documents end
    p2pchat:at:{peer}           where the peer's event stream is attached: instance, serial
    p2pchat:instance:{instance} this process of the registry lives; expires soon after it doesn't

    p2pchat:ids                 sorted set of all peers that are listed, in the order of their ids
    p2pchat:name:{username}     sorted set of those of this name, as names are compared
    p2pchat:names               hash: the name under which a peer stands in such a set
    p2pchat:hidden              set of those that don't want to be seen
    p2pchat:due                 sorted set of all peers: when the record's lease ends

    p2pchat:wrote               sorted set of digests of who called or answered whom
                                (p2pchat.registry.admission.solicited): until when that is kept
    p2pchat:strangers:{peer}    when the budget for those that a peer never wrote to is full again
    p2pchat:from:{pair}         hash: bytes of one of those to one peer, by the digest of the two,
                                and when they are forgotten

    p2pchat:nameplate:{name}    hash: a nameplate: owner, source, origin, message, response,
                                completion, and when it ends
    p2pchat:nameplates          sorted set of all of them: when they end
    p2pchat:nameplates:{whose}  sorted set of those of a peer, and of those of a source

    channel p2pchat:to:{instance}   messages to this process, by their type:

        deliver     put this on the stream, then answer
        answer      what became of it: taken, full, or offline: there is no such stream
        end         end this stream with this event; where another process has taken it over, tell
                    that what the peer hasn't had yet
        unheard     a document that was written to a stream which yours replaces
        nameplate   say on this stream that there is something at a nameplate
        mail        say on this stream what a mailbox has

Records, places and messages are JSON objects with the version of this format, ``v``.  What has
more members than we know is read all the same; what has another ``v`` is as good as nothing: a
peer whose record nobody can read registers again.  So processes of two releases may share a store.
The rest are marks and figures.  What mailboxes take stands beside it, under names of its own
(:mod:`p2pchat.registry.mailbox.redis_store`).

Only processes of the registry can write to Redis; still, a message that can't be read is nothing.

Redis ends what expires by the wall clock of its machine, which somebody may set by an hour or by
years.  So no lease, nonce or budget hangs on an expiry: their times are in the milliseconds of a
steady clock that the scripts keep, to which no step of the wall clock adds more than 5 seconds.
What expires by itself each process writes again with its next beat, or it is a mark that would be
right to forget.  A peer whose lease is over may still stand in the sets, and isn't shown; whichever
process sweeps first takes it out, with its record.

A peer is online while it is registered and its stream is attached to a process that lives.
The scripts make up names of keys as they go: the store is one Redis server with its replicas, not
a Redis Cluster.  Redis 5 or newer.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, get_args

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.signed_documents import MAX_DOCUMENT
from p2pchat.registry.store.directory import Delivery
from p2pchat.wire.mailbox import MailboxState
from p2pchat.wire.members import (
    As,
    Codec,
    Count,
    Members,
    Time,
    check_version,
    nested,
    nonblank,
    text,
)
from p2pchat.wire.strict_json import JsonObject, checked, dumps, field, loads

PREFIX = "p2pchat:"
VERSION = 1  # of what is stored, and of messages; the scripts know it, too
MAX_PAIRS = 1_000_000  # of those that wrote to each other, about 100 bytes each
SWEPT = 2000  # records that one sweep takes out of the indices: about 15 milliseconds
_SCRIPT = re.compile(r"^--> ([A-Z]+)", re.MULTILINE)


def read_scripts(text: str) -> dict[str, str]:
    """Return the scripts of a file by their names, each with what stands before all of them."""
    library, *sections = _SCRIPT.split(text)
    return {
        name: f"{library}-- {name}{script}"
        for name, script in zip(sections[::2], sections[1::2], strict=True)
    }


def library(text: str) -> str:
    """Return what stands before all scripts of a file."""
    return text.partition("\n-->")[0] + "\n"


EVENTS = frozenset({"superseded", "removed"})  # with which one process ends a stream of another

# By what the scripts and messages say.
DELIVERIES = {
    "unknown-author": Delivery.UNKNOWN_AUTHOR,
    "unknown": Delivery.UNKNOWN_PEER,
    "offline": Delivery.OFFLINE,
    "unsolicited": Delivery.UNSOLICITED,
    "taken": Delivery.TAKEN,
    "full": Delivery.FULL,
}
_WORDS = {delivery: word for word, delivery in DELIVERIES.items()}


def channel(instance: str) -> str:
    """Return the channel of a process of the registry."""
    return f"{PREFIX}to:{instance}"


def _known(value: object, name: str, words: frozenset[str]) -> str:
    word = checked(value, name, str)
    if word not in words:
        raise RemoteProtocolError(f"member {name!r} has an unknown word")
    return word


_DELIVERY = Codec(
    lambda value, name: DELIVERIES[_known(value, name, frozenset(DELIVERIES))],
    lambda delivery: _WORDS[delivery],
)
_EVENT: Codec[str] = Codec(lambda value, name: _known(value, name, EVENTS))
Name = Annotated[str, nonblank(64)]


@attrs.frozen
class DeliverMessage(Members):
    """
    A document for a peer whose stream is attached to the reader.

    :ivar instance: who wants the answer.
    """

    TYPE: ClassVar[str] = "deliver"

    request: Count
    instance: Name
    peer_id: Annotated[str, nonblank(64), As("peer")]
    token: Annotated[str, nonblank(MAX_DOCUMENT), As("document")]


@attrs.frozen
class AnswerMessage(Members):
    """The outcome of a delivery."""

    TYPE: ClassVar[str] = "answer"

    request: Count
    delivery: Annotated[Delivery, _DELIVERY]


@attrs.frozen
class EndMessage(Members):
    """
    The end of a stream that is attached to the reader; the scripts write it.

    :ivar successor: the process whose stream replaces it, or "": none, or one of another run of the
        peer's program.
    :ivar after: the number of the last document that the peer had.
    """

    TYPE: ClassVar[str] = "end"

    peer_id: Annotated[str, nonblank(64), As("peer")]
    serial: Count
    event: Annotated[str, _EVENT]
    successor: Annotated[str, text(64)] = ""
    after: Count = 0


@attrs.frozen
class UnheardMessage(Members):
    """
    A document that the peer hasn't had, for the process that its stream is attached to now.

    :ivar number: its id on the stream that it was written to.
    :ivar age: seconds since then.
    """

    TYPE: ClassVar[str] = "unheard"

    peer_id: Annotated[str, nonblank(64), As("peer")]
    number: Count
    age: Time
    token: Annotated[str, nonblank(MAX_DOCUMENT), As("document")]


@attrs.frozen
class NameplateMessage(Members):
    """Word for a peer whose stream is attached to the reader; the scripts write it."""

    TYPE: ClassVar[str] = "nameplate"

    peer_id: Annotated[str, nonblank(64), As("peer")]
    nameplate: Name


@attrs.frozen
class MailMessage(Members):
    """Word for a peer whose stream is attached to the reader; the scripts write it."""

    TYPE: ClassVar[str] = "mail"

    peer_id: Annotated[str, nonblank(64), As("peer")]
    state: Annotated[MailboxState, nested(MailboxState)]


Message = (
    DeliverMessage | AnswerMessage | EndMessage | UnheardMessage | NameplateMessage | MailMessage
)
_MESSAGES: dict[str, type[Message]] = {kind.TYPE: kind for kind in get_args(Message)}


def write_message(message: Message) -> str:
    """Write a message."""
    return dumps({"v": VERSION, "type": message.TYPE, **message.to_json()}).decode()


def read_message(text: str) -> Message | None:
    """Read a message; None: it is none that we know."""
    try:
        return _read_message(loads(text.encode("utf-8", "surrogatepass")))
    except RemoteProtocolError:
        return None


def _read_message(members: JsonObject) -> Message | None:
    check_version(members, VERSION, "a message")
    kind = _MESSAGES.get(field(members, "type", str))
    return None if kind is None else kind.from_json(members)
