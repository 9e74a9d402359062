"""
Tokens of mailboxes: those that we gave to contacts, and those that contacts gave to us.

::

    a contact's link opens ─▶ given: a random token, always the same ─▶ MAILBOX to it
                                └─▶ its hash at our registries: it may leave something
    blocked, forgotten ─▶ deleted; the hash is left out ─▶ it may no more; another token later
    MAILBOX of a contact ─▶ learned: where we may leave something for it

Each is a secret of its own in the database, and only contacts have any.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.logger import Logger

from p2pchat.errors import RemoteProtocolError, StorageFailed
from p2pchat.identity.envelopes import deposit_token
from p2pchat.interfaces import ISecretStore
from p2pchat.peer.contacts import Contacts
from p2pchat.wire.mailbox import MAX_TOKENS, token_hash
from p2pchat.wire.messages import TOKEN, Mailbox
from p2pchat.wire.strict_json import dumps, loads

GIVEN, LEARNED = "mail-token", "mail-place"  # kinds of secrets

MAX_EARLY = 32  # peers who may be contacts in a moment, and have said where their mailbox is

_log = Logger()


@attrs.define(eq=False)
class MailTokens:
    """The tokens of one node."""

    _secrets: ISecretStore
    _contacts: Contacts
    _random_bytes: Callable[[int], bytes]
    _given: dict[str, bytes] = attrs.field(factory=dict, repr=False)
    _places: dict[str, Mailbox] = attrs.field(factory=dict, repr=False)
    _early: dict[str, Mailbox] = attrs.field(factory=dict, repr=False)  # of no contacts yet

    @inlineCallbacks
    def load(self) -> Any:
        """Read what is kept; what can't be understood is forgotten, and told anew on a link."""
        given: dict[str, bytes] = yield self._secrets.all(GIVEN)
        self._given.update({one: token for one, token in given.items() if len(token) == TOKEN})
        places: dict[str, bytes] = yield self._secrets.all(LEARNED)
        for peer_id, value in places.items():
            try:
                self._places[peer_id] = Mailbox.from_json(loads(value))
            except RemoteProtocolError:
                _log.warn("where things may be left for a contact can't be read")

    def _may(self, peer_id: str) -> bool:
        person = self._contacts[peer_id]
        return person.is_contact and not person.is_blocked

    def given(self, peer_id: str) -> bytes | None:
        """Return a contact's token for us, a new one if it has none; of others there is none."""
        if not self._may(peer_id):
            return None
        if peer_id not in self._given:
            token = self._given[peer_id] = self._random_bytes(TOKEN)
            self._keep(self._secrets.put(GIVEN, peer_id, token))
        return self._given[peer_id]

    def hashes(self, origin: str) -> list[bytes]:
        """Return what a registry is to know: of as many as it takes, those given last."""
        good = [token for one, token in self._given.items() if self._may(one)]
        return [token_hash(deposit_token(token, origin)) for token in good[-MAX_TOKENS:]]

    def learned(self, peer_id: str, mailbox: Mailbox) -> bool:
        """Take what a contact said of its mailbox; tells whether it is news."""
        if not self._may(peer_id):  # it may be a contact in a moment
            self._early.pop(peer_id, None)
            if len(self._early) >= MAX_EARLY:
                del self._early[next(iter(self._early))]
            self._early[peer_id] = mailbox
            return False
        if mailbox == self._places.get(peer_id):
            return False
        if len(mailbox.token) == TOKEN:
            self._places[peer_id] = mailbox
            value = dumps(mailbox.to_json())
            self._keep(self._secrets.put(LEARNED, peer_id, value))
        else:
            self._forget(LEARNED, self._places, peer_id)
        return True

    def place(self, peer_id: str) -> Mailbox | None:
        """Return where something may be left for a contact, as far as is known."""
        return self._places.get(peer_id) if self._may(peer_id) else None

    def standing_changed(self, peer_id: str) -> None:
        """Take what one said who is a contact now, or forget it all of one who is none any more."""
        early = self._early.pop(peer_id, None)
        if self._may(peer_id) and early is not None:
            self.learned(peer_id, early)
        if not self._may(peer_id):
            self._forget(GIVEN, self._given, peer_id)
            self._forget(LEARNED, self._places, peer_id)

    def _forget(self, kind: str, kept: dict[str, Any], peer_id: str) -> None:
        if kept.pop(peer_id, None) is not None:
            self._keep(self._secrets.delete(kind, [peer_id]))

    def _keep(self, done: Deferred[None]) -> None:
        done.addErrback(_not_kept)


def _not_kept(failure: Any) -> None:
    """Log that a secret couldn't be kept: after a restart the next link tells it anew."""
    failure.trap(StorageFailed)
    _log.warn("a token of a mailbox can't be kept: {error}", error=failure.value)
