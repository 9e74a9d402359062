"""Frames, cut as a reader cuts them, and what stands in them."""

from __future__ import annotations

from typing import Any, TypeVar

from p2pchat.wire.framing import FrameReader

_Fields = TypeVar("_Fields", bound=tuple[Any, ...])


def whole_frames(reader: FrameReader) -> list[bytes]:
    """Return the frames of which all is there."""
    found = []
    while (body := reader.next_frame()) is not None:
        found.append(body)
    return found


def frames_of(data: bytes) -> list[bytes]:
    """Cut what was written on a stream into its frames."""
    reader = FrameReader()
    reader.add(data)
    return whole_frames(reader)


def changed(value: _Fields, **members: Any) -> _Fields:
    """Return a named tuple with other members."""
    names = type(value).__annotations__
    found = [members.get(name, one) for name, one in zip(names, value, strict=True)]
    return type(value)(*found)
