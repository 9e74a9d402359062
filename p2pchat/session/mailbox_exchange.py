"""
Exchange of mailboxes on a link: where the other side may leave what waits for us, and we for it.

::

    link opens, both have the feature, or ours changed ──▶ MAILBOX: our token for it, our registries
    their MAILBOX ──▶ learned

Each side says it on every link, and again when it changes; the last word counts.  An empty token
takes back what was said before.  What is to be said, and to whom, is decided by who has the tokens.

Refuses more than MOST on one link: each is written to a disk.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.messages import MAILS, Mailbox

MOST = 32  # MAILBOX frames on one link; a registry that comes and goes is two


@attrs.define(eq=False)
class MailboxExchange:
    """
    The exchange with one peer.

    :ivar describe: returns what the peer is to know of ours, ``None`` for nothing.
    :ivar learned: takes what it says of its own.
    """

    describe: Callable[[], Mailbox | None]
    learned: Callable[[Mailbox], None]
    _is_due: bool = False
    _said: Mailbox | None = None  # on the link of now
    _count: int = 0  # of theirs, on this link

    def link_opened(self) -> None:
        """Say it on a new link."""
        self._is_due, self._said, self._count = True, None, 0

    def changed(self) -> None:
        """Say it again, if it differs."""
        self._is_due = True

    def next_message(self, features: tuple[str, ...]) -> Mailbox | None:
        """Return, and forget, what goes out next to a peer that has these features."""
        if not self._is_due or MAILS not in features:
            return None
        self._is_due, ours = False, self.describe()
        if ours == self._said or (ours is None and self._said is None):
            return None
        self._said = ours
        return ours or Mailbox()

    def receive(self, message: Mailbox) -> None:
        """
        Take what the peer says of its mailbox.

        :raises RemoteProtocolError: it says so too often.
        """
        self._count += 1
        if self._count > MOST:
            raise RemoteProtocolError(f"MAILBOX more than {MOST} times on a link")
        self.learned(message)
