"""Declared members: what a declaration promises, whatever class makes it."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError, UnsupportedVersion
from p2pchat.wire.members import (
    SPARSE,
    As,
    Count,
    Flag,
    Members,
    Time,
    check_version,
    choice,
    each,
    inline,
    integer,
    nested,
    nonblank,
    octets,
    text,
)


class Colour(Enum):
    """Words."""

    RED = "red"
    BLUE = "blue"


@attrs.frozen
class Size(Members):
    """A value that stands among the members of another."""

    width: Count = 0
    height: Count = 0


@attrs.frozen
class Maker(Members):
    """A value that is an object of its own."""

    name: Annotated[str, nonblank(5)]


@attrs.frozen
class Ball(Members):
    """One member of each kind."""

    owner: Annotated[str, nonblank(10), As("own")]
    colours: Annotated[tuple[Colour, ...], each(choice(Colour), 2)]
    key: Annotated[bytes, octets(3)]
    made: Time
    maker: Annotated[Maker, nested(Maker)]
    size: Annotated[Size, inline(Size.from_json)] = Size()
    note: Annotated[str, text(4)] = "none"
    number: Annotated[int, integer(9, least=1)] = 1
    is_round: Annotated[Flag, SPARSE] = True
    seller: Annotated[Maker | None, nested(Maker), SPARSE] = None


BALL = Ball("bob", (Colour.RED,), b"\0\1\2", 1.5, Maker("acme"), Size(3))
WRITTEN: dict[str, Any] = {
    "own": "bob",
    "colours": ["red"],
    "key": "AAEC",
    "made": 1.5,
    "maker": {"name": "acme"},
    "width": 3,
    "height": 0,
    "note": "none",
    "number": 1,
}


class DeclarationTests(SynchronousTestCase):
    """Reading and writing by declaration."""

    def refuse(self, **changed: Any) -> None:
        """A ball with these members is refused."""
        with self.subTest(**changed):
            self.assertRaises(RemoteProtocolError, Ball.from_json, {**WRITTEN, **changed})

    def test_written(self) -> None:
        """Members are written in the order of their declarations, what is sparse only if needed."""
        self.assertEqual(list(BALL.to_json().items()), list(WRITTEN.items()))
        odd = attrs.evolve(BALL, is_round=False, seller=Maker("shop"))
        more = {"is_round": False, "seller": {"name": "shop"}}
        self.assertEqual(odd.to_json(), {**WRITTEN, **more})
        for ball in (BALL, odd):
            self.assertEqual(Ball.from_json(ball.to_json()), ball)

    def test_must_be_there(self) -> None:
        """What has no default must be there, and isn't null."""
        for name in ("own", "colours", "key", "made", "maker"):
            self.refuse(**{name: None})
            left = {one: value for one, value in WRITTEN.items() if one != name}
            self.assertRaises(RemoteProtocolError, Ball.from_json, left)

    def test_defaults(self) -> None:
        """What has one may be absent or null; what nobody declared is ignored."""
        for name in ("width", "height", "note", "number"):
            left = {one: value for one, value in WRITTEN.items() if one != name}
            self.assertEqual(Ball.from_json(left), Ball.from_json({**WRITTEN, name: None, "x": 1}))

    def test_limits(self) -> None:
        """Each codec keeps its limits and its type."""
        self.refuse(own=" ")
        self.refuse(own="x" * 11)
        self.refuse(colours=["red"] * 3)
        self.refuse(colours=["green"])
        self.refuse(colours=[{}])
        self.refuse(key="AAE")
        self.refuse(key="A" * 5000)
        self.refuse(made="1")
        self.refuse(maker="acme")
        self.refuse(maker={})
        self.refuse(seller=[])
        self.refuse(width=-1)
        self.refuse(note="x" * 5)
        self.refuse(number=0)
        self.refuse(number=10)
        self.refuse(is_round=1)

    def test_version(self) -> None:
        """Another version is named in the sentence, and what is none is malformed."""
        check_version({"v": 1}, 1, "a ball")
        with self.assertRaisesRegex(UnsupportedVersion, "a ball of version 2; .* version 1"):
            check_version({"v": 2}, 1, "a ball")
        self.assertRaises(RemoteProtocolError, check_version, {}, 1, "a ball")
