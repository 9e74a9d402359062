"""
Notifications of a terminal: a bell, and OSC 9, which many terminals show on the desktop.

Pure.  Owns when a person is disturbed, and by what::

    BEL                              calls; messages that aren't in view
    ESC ] 9 ; p2pchat: SENTENCE BEL  the same, after the bell

A sentence is ours, with the name that a contact has here at most: nothing of a message, no name
that a stranger gave himself, and no character that a terminal would obey.  It begins with a word,
because some terminals take OSC 9 with a figure for another command (ConEmu's).

Whether somebody looks is guessed: he pressed a key, or turned to the terminal, within LOOKING, and
hasn't turned away since.  Terminals say the latter two where they report focus (DEC mode 1004).
"""

from __future__ import annotations

from enum import Enum

import attrs

from p2pchat.wire.visible import visible_name

LOOKING = 60.0  # seconds after a sign of life; who reads a screen for longer is disturbed
QUIET = 10.0  # seconds from one notification of a contact's messages to the next
BELL = "\a"


class Notify(Enum):
    """Choices of what a terminal does."""

    ALL = "all"
    BELL = "bell"
    NONE = "none"


@attrs.define
class Attention:
    """The attention of the person before a terminal."""

    _seen_at: float | None = None  # seconds; None: turned away

    def see(self, now: float) -> None:
        """Take a sign of life."""
        self._seen_at = now

    def turn_away(self) -> None:
        """Take it that the terminal has lost the focus."""
        self._seen_at = None

    def is_here(self, now: float) -> bool:
        """Tell whether what is shown now is seen."""
        return self._seen_at is not None and now - self._seen_at < LOOKING


@attrs.define
class Notifications:
    """The notifications of one terminal."""

    _choice: Notify
    _rung_at: dict[str, float] = attrs.Factory(dict)  # by contact: no more than there are of these

    def message(self, peer_id: str, name: str, now: float) -> str:
        """
        Return what is written for a contact's message that isn't in view: of many, for the first.

        :param name: that the contact has here.
        """
        rung_at = self._rung_at.get(peer_id)
        if rung_at is not None and now - rung_at < QUIET:
            return ""
        self._rung_at[peer_id] = now
        return self._written(f"message from {visible_name(name)}")

    def call(self, contact: str) -> str:
        """
        Return what is written for a call.

        :param contact: the name that the contact has here; "" for a stranger.
        """
        return self._written(f"{visible_name(contact) if contact else 'somebody'} is calling")

    def _written(self, sentence: str) -> str:
        if self._choice is Notify.NONE:
            return ""
        return BELL if self._choice is Notify.BELL else f"{BELL}\x1b]9;p2pchat: {sentence}{BELL}"
