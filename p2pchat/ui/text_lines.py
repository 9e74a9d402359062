"""
Bytes from a pipe to lines of text.

Lines end with LF or CR LF; what isn't UTF-8 is replaced by U+FFFD.  A line longer than MAX_LINE is
given up: its bytes are dropped up to the next LF, and ``None`` stands in its place.
"""

from __future__ import annotations

import attrs

MAX_LINE = 1024 * 1024  # bytes; the longest message, every character escaped, is a fifth of it


@attrs.define
class TextLines:
    """The lines of a stream of bytes."""

    _buffer: bytes = b""
    _overlong: bool = False

    def receive(self, data: bytes) -> list[str | None]:
        """Take bytes; return the lines that they complete."""
        *complete, rest = (self._buffer + data).split(b"\n")
        lines = [self._line(line) for line in complete]
        self._overlong = self._overlong or len(rest) > MAX_LINE
        self._buffer = b"" if self._overlong else rest
        return lines

    def finish(self) -> list[str | None]:
        """Return the line that the end of the stream cut short, if there is one."""
        rest, self._buffer = self._buffer, b""
        return [self._line(rest)] if rest or self._overlong else []

    def _line(self, line: bytes) -> str | None:
        overlong, self._overlong = self._overlong or len(line) > MAX_LINE, False
        return None if overlong else line.removesuffix(b"\r").decode("utf-8", "replace")
