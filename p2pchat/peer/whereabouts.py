"""
Whereabouts: at which registries we are found, told to contacts, and where they are.

A contact has our registries and our sealing key from the card of an invitation.  What changes is
said on the next link, in a signed list (:mod:`p2pchat.identity.registry_lists`); so is what stays
the same, since nobody knows what the other side has lost.  Contacts alone are told, and only of
contacts something is kept.

Owns how often a contact may move: each change is written to a disk.
"""

from __future__ import annotations

import attrs
from twisted.logger import Logger

from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.keys import Identity
from p2pchat.identity.registry_lists import open_list, sign_list
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.other_registries import lawful_url
from p2pchat.peer.sealing_keys import SealingKeys
from p2pchat.peer.signaling import SignalingGroup
from p2pchat.runtime import Runtime
from p2pchat.session.token_bucket import TokenBucket
from p2pchat.wire.documents import Card, RegistryList
from p2pchat.wire.messages import Registries

MOVES = 4.0  # of one contact at once
MOVE_INTERVAL = 60.0  # seconds until there is one more
MAX_MOVERS = 1000  # contacts of whom it is remembered that they moved
MAX_EARLY = 32  # lists of peers who may be contacts in a moment, of 8 kB at most

_log = Logger()


@attrs.define(eq=False)
class Whereabouts:
    """The whereabouts of one node and its contacts."""

    _identity: Identity
    _contacts: Contacts
    _keys: SealingKeys
    _signaling: SignalingGroup
    _runtime: Runtime
    _moves: dict[str, TokenBucket] = attrs.Factory(dict)  # by contact
    _early: dict[str, str] = attrs.Factory(dict)  # lists, by peers who are none yet

    def ours(self) -> RegistryList:
        """Return where we are found."""
        urls = tuple(filter(None, map(lawful_url, self._signaling.names)))
        return RegistryList((self._keys.own.record_key,), urls)

    def card(self, username: str) -> Card:
        """Return what we say of ourselves to whoever shares an invitation with us."""
        return Card(username, (self._keys.own.record_key,), self._signaling.servers)

    def describe(self, peer_id: str) -> Registries | None:
        """Return what a peer is to know of it."""
        person = self._contacts[peer_id]
        if not person.is_contact or person.is_blocked:
            return None
        now, nonce = self._signaling.now(), self._runtime.random_name()
        return Registries(sign_list(self._identity, peer_id, self.ours(), now, nonce))

    def take(self, peer_id: str, document: str) -> None:
        """Take a list of a peer; what can't be relied on, or isn't news, changes nothing."""
        person = self._contacts[peer_id]
        if not person.is_contact or person.is_blocked:
            self._keep_early(peer_id, document)
            return
        now = self._signaling.now()
        try:
            found = open_list(document, peer_id, self._identity.peer_id, now)
        except RemoteProtocolError as error:
            _log.debug("a list of registries is refused: {error}", error=error)
            return
        if self._contacts.is_news(peer_id, found) and self._may_move(peer_id):
            self._contacts.remember_list(peer_id, found)

    def _keep_early(self, peer_id: str, document: str) -> None:
        """Keep a list that comes just before its author becomes a contact here, too."""
        self._early.pop(peer_id, None)
        if len(self._early) >= MAX_EARLY:
            del self._early[next(iter(self._early))]
        self._early[peer_id] = document

    def connected(self, peer_id: str) -> None:
        """A conversation began, by which a peer may have become a contact."""
        early = self._early.pop(peer_id, "")
        if early:
            self.take(peer_id, early)

    def _may_move(self, peer_id: str) -> bool:
        moves = self._moves.pop(peer_id, None) or TokenBucket(MOVES, MOVE_INTERVAL)
        if len(self._moves) >= MAX_MOVERS:
            del self._moves[next(iter(self._moves))]
        self._moves[peer_id] = moves
        return moves.take(self._runtime.clock.seconds())


def registries_of(contacts: Contacts, relay_only: bool, peer_id: str) -> tuple[str, ...]:
    """Return where a contact is found; one might name a registry just to learn our address."""
    person = contacts[peer_id]
    is_hidden = relay_only or person.is_relayed or person.is_blocked
    return () if is_hidden else person.registries
