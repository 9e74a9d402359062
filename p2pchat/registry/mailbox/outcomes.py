"""Values that a store of mailboxes takes and answers."""

from __future__ import annotations

from enum import Enum

import attrs

from p2pchat.registry.refusals import Refused, refused
from p2pchat.wire.mailbox import MailboxState

RETRY_AFTER = 10  # seconds


def unavailable() -> Refused:
    """Return the refusal of what the store can't do at the moment, or not any more."""
    detail = "the registry can't read or write its mailboxes at the moment: try again later"
    return refused(503, "mailboxes-unavailable", detail, RETRY_AFTER)


class MailboxOutcome(Enum):
    """Reasons why a store didn't do what it was asked for."""

    UNKNOWN = "unknown"  # no such mailbox, or no such token
    NO_PREKEYS = "no-prekeys"  # good ones
    SUPERSEDED = "superseded"  # by a document that its author made later
    TOKEN_FULL = "token-full"  # what may wait of one token waits
    MAILBOX_FULL = "mailbox-full"  # what may wait of all
    FULL = "full"  # the store


@attrs.frozen
class PublishedPrekeys:
    """
    Prekeys of an owner.

    :ivar document: the compact JWS.
    :ivar one_time: how many one-time keys it has.
    :ivar issued_at: seconds since 1970.
    :ivar lifetime: seconds from now on.
    """

    document: str
    one_time: int
    issued_at: float
    lifetime: float


@attrs.frozen
class GivenPrekeys:
    """
    Prekeys as a depositor is given them.

    :ivar one_time: the place of its one-time key; None: there is none for it.
    """

    document: str
    one_time: int | None


@attrs.frozen
class LeftEnvelope:
    """
    An envelope that somebody leaves.

    :ivar peer: whose mailbox it is for.
    :ivar token: hash of the token that it is left by.
    :ivar replaces: name of an envelope of the same token that goes for it, or b"".
    """

    peer: str
    token: bytes
    envelope: bytes = attrs.field(repr=False)
    replaces: bytes = b""


@attrs.frozen
class KeptEnvelope:
    """
    An envelope that is kept.

    :ivar expires_in: seconds.
    :ivar state: of the mailbox, now.
    """

    expires_in: float
    state: MailboxState


@attrs.frozen
class MailboxCounts:
    """
    Counts of a store.

    :ivar bytes: of its memory or file.
    """

    mailboxes: int
    envelopes: int
    bytes: int
