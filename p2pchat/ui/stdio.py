"""Which of the interfaces suits what our stdin and stdout are."""

from __future__ import annotations

import os

from p2pchat.runtime import Runtime
from p2pchat.ui.console import PlainConsole, Stdio, TerminalConsole
from p2pchat.ui.ink import Ink, ink_for
from p2pchat.ui.json_lines import JsonLines
from p2pchat.ui.pages import Page
from p2pchat.ui.terminal import Terminal, is_terminal
from p2pchat.ui.wording import Wording

STDIN, STDOUT = 0, 1


def stdio_for(runtime: Runtime, username: str, json: bool) -> tuple[Stdio, Terminal | None]:
    """Return the interface, and the terminal whose line it edits, if there is one."""
    if json:
        return JsonLines(runtime), None
    terminal = Terminal(STDIN, STDOUT)
    if not is_terminal(STDIN, STDOUT, os.environ):
        # Rows are broken for a screen that can't move its cursor, too.
        width = terminal.width if os.isatty(STDOUT) else None
        wording = Wording(username, has_prompt=False)
        return PlainConsole(runtime, wording, Page(Ink(False), width)), None
    page = Page(ink_for(os.environ), terminal.width)
    return TerminalConsole(runtime, Wording(username), page, terminal.width), terminal
