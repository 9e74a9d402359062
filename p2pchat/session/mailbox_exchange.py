"""
Exchange of mailboxes on a link: where the other side may leave what waits for us, and we for it.

::

    MAILBOX     our token for it, our registries; an empty token takes back what was said before

It is said as :mod:`p2pchat.session.announcement` has it.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from p2pchat.session.announcement import Announcement
from p2pchat.wire.messages import MAILS, Mailbox


@attrs.define(eq=False)
class MailboxExchange(Announcement[Mailbox]):
    """The exchange with one peer."""

    feature: ClassVar[str] = MAILS
    nothing: ClassVar[Mailbox] = Mailbox()
