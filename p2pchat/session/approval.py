"""
The yes to one call: whose it is, and how long it lasts.

A call is approved by the person, who called or accepted, or by the accept policy; or, for services
alone, by a grant of the caller's, or by a program that calls for a service.  The approval ends with
the call or its conversation.  Where the path was lost for good, nobody ended anything: for
RETURN_PATIENCE the peer may come back without being asked, if it was the person who approved;
what the policy approves it can approve again.
"""

from __future__ import annotations

from enum import Enum

import attrs

RETURN_PATIENCE = 3600.0  # seconds; a laptop that sleeps through lunch comes back
RETRY_PATIENCE = 15.0  # seconds; the longest pause between two attempts is 8, and two trips more
RETRY_TRIPS = 3  # times that a document and its answer take, beside


class AcceptPolicy(Enum):
    """Policy for offers: which are accepted without asking."""

    ASK = "ask"
    ALL = "all"
    CONTACTS = "contacts"


class By(Enum):
    """Giver of an approval."""

    NOBODY = "nobody"
    SERVICE = "service"  # nobody wants to talk
    POLICY = "policy"
    PERSON = "person"


_RANKS = list(By)


def stronger(one: By, other: By) -> By:
    """Return the approval of two that lets more happen."""
    return max(one, other, key=_RANKS.index)


@attrs.define
class Approval:
    """
    The approval of the call or conversation of now.

    :ivar by: who gave it.
    :ivar was_wanted: whether the person ever said yes to this peer.
    :ivar is_contact: whether the peer is one.
    """

    by: By = By.NOBODY
    was_wanted: bool = False
    is_contact: bool = False
    _until: float | None = None

    @property
    def has_priority(self) -> bool:
        """Whether this call comes before those of strangers."""
        return self.is_contact or self.by is By.PERSON

    def give(self, by: By) -> None:
        """Approve the call of now; what the person has approved stays approved by the person."""
        self._until = None
        self.was_wanted = self.was_wanted or by is By.PERSON
        self.by = stronger(self.by, by)

    def returned(self) -> None:
        """Who was lost is back: the approval ends with the conversation again."""
        self._until = None

    def end(self) -> None:
        """The call or conversation has ended."""
        self.by, self._until = By.NOBODY, None

    def lose(self, now: float) -> None:
        """The conversation was lost, and nobody ended it."""
        if self.by is By.PERSON:
            self._until = now + RETURN_PATIENCE
        else:
            self.end()

    def disown(self) -> None:
        """The person has forgotten the peer: what goes on may go on, and nothing comes back."""
        if self._until is not None:
            self.end()
        elif self.by is By.PERSON:
            self.by = By.POLICY

    def await_retry(self, now: float, patience: float = RETRY_PATIENCE) -> None:
        """An attempt of theirs failed; the next one of the same call needs no new yes."""
        self._until = now + patience

    def holds(self, now: float) -> bool:
        """Tell whether an offer needs no yes."""
        return self.by is not By.NOBODY and (self._until is None or now < self._until)
