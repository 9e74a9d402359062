"""
Bytes from a pipe to lines of text.

Lines end with LF or CR LF; what isn't UTF-8 is replaced by U+FFFD.  A line longer than MAX_LINE is
given up: its bytes are dropped up to the next LF, and ``None`` stands in its place.  However the
bytes are cut, they cost time in proportion to their number.
"""

from __future__ import annotations

import attrs

MAX_LINE = 1024 * 1024  # bytes; the longest message, every character escaped, is a fifth of it


@attrs.define
class TextLines:
    """The lines of a stream of bytes."""

    _pieces: list[bytes] = attrs.Factory(list)  # of the line that isn't complete
    _length: int = 0

    def receive(self, data: bytes) -> list[str | None]:
        """Take bytes; return the lines that they complete."""
        *endings, rest = data.split(b"\n")
        lines = []
        for ending in endings:
            self._keep(ending)
            lines.append(self._line())
        self._keep(rest)
        return lines

    def finish(self) -> list[str | None]:
        """Return the line that the end of the stream cut short, if there is one."""
        return [self._line()] if self._length else []

    def _keep(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length > MAX_LINE:
            self._pieces.clear()
        elif piece:
            self._pieces.append(piece)

    def _line(self) -> str | None:
        is_overlong, line = self._length > MAX_LINE, b"".join(self._pieces)
        self._pieces, self._length = [], 0
        return None if is_overlong else line.removesuffix(b"\r").decode("utf-8", "replace")
