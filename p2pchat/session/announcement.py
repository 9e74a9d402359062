"""
Announcements on a link: what a side says of itself on every link, and again when it changes.

::

    link opens, the other side has the feature, or ours changed ──▶ said
    theirs ──▶ learned

The last word counts.  What is to be said, and to whom, is decided by who knows the peer.

Refuses more than MOST of a kind on one link: each is written to a disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.messages import ControlMessage

MOST = 32  # on one link; a registry that comes and goes is two

_Message = TypeVar("_Message", bound=ControlMessage)


@attrs.define(eq=False)
class Announcement(Generic[_Message]):
    """
    The announcements of one kind to one peer, and the peer's.

    :cvar feature: that of a peer who takes them.
    :cvar nothing: what is said where something was and there is nothing any more.
    :ivar describe: returns what the peer is to know of ours, ``None`` for nothing.
    :ivar learned: takes what it says of its own.
    """

    feature: ClassVar[str]
    nothing: ClassVar[Any] = None
    describe: Callable[[], _Message | None]
    learned: Callable[[_Message], None]
    _is_due: bool = False
    _said: _Message | None = None  # on the link of now
    _count: int = 0  # of theirs, on this link

    def link_opened(self) -> None:
        """Say it on a new link."""
        self._is_due, self._said, self._count = True, None, 0

    def changed(self) -> None:
        """Say it again, if it differs."""
        self._is_due = True

    def next_message(self, features: tuple[str, ...]) -> _Message | None:
        """Return, and forget, what goes out next to a peer that has these features."""
        if not self._is_due or self.feature not in features:
            return None
        self._is_due, ours = False, self.describe()
        if ours == self._said or (ours is None and self._said is None):
            return None
        self._said = ours
        said: _Message | None = self.nothing if ours is None else ours
        return said

    def receive(self, message: _Message) -> None:
        """
        Take what the peer says of itself.

        :raises RemoteProtocolError: it says so too often.
        """
        self._count += 1
        if self._count > MOST:
            raise RemoteProtocolError(f"{message.TYPE} more than {MOST} times on a link")
        self.learned(message)
