"""
Keeping of what a node remembers beside messages: each change of it is written soon.

Contacts, settings and grants are rows of their own; open invitations have a secret, and are kept
with the others of the node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from p2pchat import events
from p2pchat.interfaces import ISecretStore
from p2pchat.peer.journal import STANDSTILL
from p2pchat.peer.kept_invitations import KeptInvitations, Place
from p2pchat.peer.profile import Profile
from p2pchat.peer.write_behind import WriteBehind


class Keeping:
    """
    The keeping of one profile.

    :param tell: takes the event that something can't be written.
    """

    def __init__(
        self, profile: Profile, clock: IReactorTime, tell: Callable[[events.NodeEvent], None]
    ) -> None:
        self._profile = profile
        self.tell = tell
        rows, secrets = profile.rows, profile.secrets
        self._contacts = WriteBehind[str, str]("contacts", rows.put_contacts, clock, tell)
        self._settings = WriteBehind[str, str]("settings", rows.put_settings, clock, tell)
        self._grants = WriteBehind[str, str]("grants", rows.put_grants, clock, tell)
        self._invitations = WriteBehind[Place, bytes](
            "invitations", lambda changes: _put_secrets(secrets, changes), clock, tell
        )
        self._kept: Mapping[Place, bytes] = profile.invitations.rows()
        profile.contacts.save = self._contacts.put
        profile.grants.save = self._grants.put

    def start(self) -> None:
        """Tell where nothing can be kept now."""
        file = self._profile.file
        if file is not None and file.is_exclusive:
            self.tell(events.Trouble(f"{file.without_room()}; {STANDSTILL}", "storage"))

    def save_invitations(self, kept: KeptInvitations) -> Deferred[None]:
        """Keep these invitations and no others; a Deferred fires when that was tried once."""
        before, self._kept = self._kept, kept.rows()
        changes: dict[Place, bytes | None] = dict.fromkeys(before.keys() - self._kept.keys())
        changes.update(self._kept.items() - before.items())
        return self._invitations.put(changes)

    def add_registry(self, url: str) -> None:
        """Keep the URL of a registry where we are found, too."""
        before = self._profile.remembered
        self._profile.remembered = before.with_registry(url)
        self._settings.put(self._profile.remembered.changed_from(before))

    def stop(self) -> None:
        """Write what isn't written, once."""
        for one in (self._contacts, self._settings, self._grants, self._invitations):
            one.stop()


def _put_secrets(secrets: ISecretStore, changes: Mapping[Place, bytes | None]) -> Deferred[None]:
    done: list[Deferred[Any]] = []
    for (kind, name), value in changes.items():
        if value is None:
            done.append(secrets.delete(kind, [name]))
        else:
            done.append(secrets.put(kind, name, value))
    written: Deferred[Any] = gatherResults(done, consumeErrors=True)
    return written.addCallbacks(lambda _: None, _first)


def _first(failure: Failure) -> Failure:
    """Return the failure of one of several writes."""
    found: Any = failure.value
    one: Failure = found.subFailure
    return one
