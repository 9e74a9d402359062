"""
The modes of a terminal: set for editing a line, and put back on every way out.

Keys arrive one by one and unechoed, Ctrl-C and Ctrl-S among them; output is left as it was.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import termios
from collections.abc import Mapping

import attrs

# Pastes in brackets, and reports of the focus: by xterm, and by whatever else knows them.
_MODES_ON, _MODES_OFF = b"\x1b[?2004h\x1b[?1004h", b"\x1b[?1004l\x1b[?2004l"
_LINE_SANE = b"\r\x1b[K\x1b[0m\x1b[?7h"
_LOCAL_MODES_OFF = termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN
_USUAL_WIDTH = 80  # columns


@attrs.define
class Terminal:
    """A terminal that is read and written through two descriptors."""

    _input: int
    _output: int
    _modes: list[object] | None = None

    def prepare(self) -> None:
        """Set the modes; :meth:`restore` is called at the end of the process at the latest."""
        self._modes = termios.tcgetattr(self._input)
        modes = termios.tcgetattr(self._input)
        modes[0] &= ~termios.IXON
        modes[3] &= ~_LOCAL_MODES_OFF
        atexit.register(self.restore)
        termios.tcsetattr(self._input, termios.TCSADRAIN, modes)
        os.write(self._output, _MODES_ON)

    def restore(self) -> None:
        """Put the modes back as they were; what isn't set needs nothing."""
        if self._modes is None:
            return
        modes, self._modes = self._modes, None
        atexit.unregister(self.restore)
        # The terminal may be gone, which is what ended us; there is nothing to put back then.
        with contextlib.suppress(OSError, termios.error):
            # A terminal that isn't read, such as one behind a dead connection, must not hold us up.
            os.set_blocking(self._output, False)
            with contextlib.suppress(BlockingIOError):
                os.write(self._output, _MODES_OFF + _LINE_SANE)
            termios.tcsetattr(self._input, termios.TCSANOW, modes)  # type: ignore[arg-type]
            os.set_blocking(self._input, True)
            os.set_blocking(self._output, True)

    def width(self) -> int:
        """Return the present number of columns."""
        try:
            return os.get_terminal_size(self._output).columns or _USUAL_WIDTH
        except OSError:
            return _USUAL_WIDTH

    def size(self) -> tuple[int, int]:
        """Return the present number of columns and of rows."""
        try:
            return os.get_terminal_size(self._output)
        except OSError:
            return _USUAL_WIDTH, 0


def has_unicode(environment: Mapping[str, str]) -> bool:
    """Tell whether a terminal with this environment takes UTF-8."""
    named = (environment.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    return "utf-8" in next(filter(None, named), "").lower().replace("utf8", "utf-8")


def is_terminal(input_fd: int, output_fd: int, environment: Mapping[str, str]) -> bool:
    """Tell whether a line can be edited here: both ends a terminal that can move its cursor."""
    able = environment.get("TERM", "dumb") != "dumb"
    return able and os.isatty(input_fd) and os.isatty(output_fd)
