"""
Members of a JSON object, declared once: by the annotations of an attrs class.

::

    @attrs.frozen
    class Refusal(Members):
        session: Annotated[str, nonblank(64)]        # must be there
        detail: Annotated[str, text(512)] = ""       # absent or null: the default

What is read and what is written follows from that, in the order of the annotations.  The codec
comes first in an annotation; after it may stand the name on the wire (``As``), and SPARSE for what
isn't written while it has its default.  Members that nobody declared are ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import cache, partial
from operator import attrgetter, methodcaller
from typing import Annotated, Any, Generic, Self, TypeVar, get_type_hints

import attrs
from attrs import NOTHING

from p2pchat.errors import RemoteProtocolError, UnsupportedVersion
from p2pchat.wire.base64url import decode_bytes, encode_bytes
from p2pchat.wire.strict_json import MAX_INTEGER, JsonObject, checked, field, seconds

_T = TypeVar("_T")
_Word = TypeVar("_Word", bound=Enum)
_Object = TypeVar("_Object", bound="Members")


def _as_it_is(value: Any) -> Any:
    return value


_to_json = methodcaller("to_json")


@attrs.frozen
class Codec(Generic[_T]):
    """
    A way in which a member is read and written.

    :ivar read: makes the value of what JSON has, given the member's name for the complaint; raises
        RemoteProtocolError.
    :ivar write: the reverse.
    :ivar is_inline: whether both take and give all members of the object that it stands in.
    """

    read: Callable[[Any, str], _T]
    write: Callable[[_T], Any] = _as_it_is
    is_inline: bool = False


def text(most: int) -> Codec[str]:
    """Text of so many characters at most."""
    return _text(most, may_be_blank=True)


def nonblank(most: int) -> Codec[str]:
    """Text that has more than blanks."""
    return _text(most, may_be_blank=False)


def _text(most: int, may_be_blank: bool) -> Codec[str]:
    def read(value: object, name: str) -> str:
        # What is plain is known at once: half the members that a registry reads are such text.
        if not (isinstance(value, str) and value.isascii() and len(value) <= most):
            value = checked(value, name, str, most)
        if not may_be_blank and not value.strip():
            raise RemoteProtocolError(f"member {name!r} is empty")
        return value

    return Codec(read)


def integer(most: int = MAX_INTEGER, least: int = 0) -> Codec[int]:
    """An integer that isn't negative."""

    def read(value: object, name: str) -> int:
        number = checked(value, name, int, most)
        if number < least:
            raise RemoteProtocolError(f"member {name!r} is out of range")
        return number

    return Codec(read)


def octets(length: int) -> Codec[bytes]:
    """Exactly so many bytes, in base64url."""
    characters = 2 * length  # more than base64url takes: what is longer isn't even decoded
    return Codec(
        lambda value, name: decode_bytes(checked(value, name, str, characters), length),
        encode_bytes,
    )


def octets_up_to(most: int) -> Codec[bytes]:
    """So many bytes at most, in base64url."""
    characters = (4 * most + 2) // 3
    return Codec(
        lambda value, name: decode_bytes(checked(value, name, str, characters)), encode_bytes
    )


def choice(words: type[_Word]) -> Codec[_Word]:
    """One of the words of an enumeration."""

    known = {word.value: word for word in words}

    def read(value: object, name: str) -> _Word:
        word = known.get(checked(value, name, str))
        if word is None:
            raise RemoteProtocolError(f"member {name!r} has an unknown word")
        return word

    return Codec(read, attrgetter("value"))


def nested(kind: type[_Object]) -> Codec[_Object]:
    """An object with members of its own."""
    return Codec(lambda value, name: kind.from_json(checked(value, name, dict)), _to_json)


def inline(read: Callable[[JsonObject], _Object]) -> Codec[_Object]:
    """A value whose members stand among the others; it is read from all of them."""
    return Codec(lambda members, _name: read(members), _to_json, is_inline=True)


def each(codec: Codec[_T], most: int) -> Codec[tuple[_T, ...]]:
    """A list of so many items at most, all of one kind."""
    return Codec(
        lambda value, name: tuple(
            [codec.read(item, name) for item in checked(value, name, list, most)]
        ),
        lambda items: [codec.write(item) for item in items],
    )


Flag = Annotated[bool, Codec(partial(checked, kind=bool))]
Count = Annotated[int, integer()]
Time = Annotated[float, Codec(seconds)]  # since 1970


@attrs.frozen
class As:
    """The name of a member on the wire, where the attribute has another."""

    name: str


SPARSE = object()


@attrs.frozen
class _Member:
    """A declaration; its default is NOTHING where the member must be there."""

    attribute: str
    name: str
    codec: Codec[Any]
    default: Any
    is_sparse: bool

    @classmethod
    def declared(cls, attribute: attrs.Attribute[Any], codec: Codec[Any], *marks: object) -> Self:
        [name] = [mark.name for mark in marks if isinstance(mark, As)] or [attribute.name]
        return cls(attribute.name, name, codec, attribute.default, SPARSE in marks)


def _declarations(kind: Any) -> tuple[_Member, ...]:
    # Evaluates the annotations with the class's names as globals, and the module's as locals: so a
    # lambda in one wouldn't find the module's.
    hints = get_type_hints(kind, include_extras=True)
    return tuple(_Member.declared(one, *hints[one.name].__metadata__) for one in attrs.fields(kind))


# Once for each class: to evaluate annotations takes longer than to read a document.
_declared: Callable[[Any], tuple[_Member, ...]] = cache(_declarations)


class Members:
    """Base of the attrs classes that are JSON objects on the wire."""

    __slots__ = ()

    def to_json(self) -> JsonObject:
        """Return the members."""
        members: JsonObject = {}
        for one in _declared(type(self)):
            value = getattr(self, one.attribute)
            if one.codec.is_inline:
                members.update(one.codec.write(value))
            elif not (one.is_sparse and value == one.default):
                members[one.name] = one.codec.write(value)
        return members

    @classmethod
    def from_json(cls, members: JsonObject) -> Self:
        """
        Read the members.

        :raises RemoteProtocolError: one is missing or malformed.
        """
        values = []
        for one in _declared(cls):
            codec, default, name = one.codec, one.default, one.name
            value = members if codec.is_inline else members.get(name)
            is_left_out = value is None and default is not NOTHING
            values.append(default if is_left_out else codec.read(value, name))
        return cls(*values)


def check_version(members: JsonObject, known: int, what: str) -> None:
    """
    Check the member ``v``.

    :raises UnsupportedVersion: it is another version than the known one.
    :raises RemoteProtocolError: it is no version at all.
    """
    version = field(members, "v", int)
    if version != known:
        whose = "update it" if version > known else "whoever sent it must update"
        sentence = f"{what} of version {version}; this program knows version {known}: {whose}"
        raise UnsupportedVersion(sentence, version)
