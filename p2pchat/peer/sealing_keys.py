"""
Sealing keys: our own, and those that documents to other peers are sealed to.

The key of a peer is, the first that is there,

1. what that peer sent in this run, in an offer or answer;
2. what is kept of a contact;
3. what a look-up by name showed;

and it is looked up where there is none.  A key that nobody has any more, as after the loss of a
state directory, gets an offer no answer: so the key is looked up again, and counts from then on,
for an offer whose predecessor was delivered and brought no document back.

Keys come in verified: of a document, or of a registration, that the peer signed.  Of very many
peers the ones that were heard last are remembered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from p2pchat.identity.sealing import SealingKey, usable
from p2pchat.peer.contacts import Contacts
from p2pchat.wire.documents import Answer, Offer, PeerDocument, RecordKey

MAX_PEERS = 1000  # of whom a key is remembered, about 500 bytes each; contacts' are kept beside


@attrs.frozen
class _PeerKeys:
    sent: RecordKey | None = None  # or looked up since it was doubted
    shown: RecordKey | None = None  # by a look-up
    is_doubted: bool = False  # an offer is out, and nothing came back


_UNKNOWN = _PeerKeys()


@attrs.define(eq=False)
class SealingKeys:
    """
    The keys of one node.

    :ivar own: what others seal to.
    """

    own: SealingKey
    _contacts: Contacts
    _peers: dict[str, _PeerKeys] = attrs.Factory(dict)

    def introduce(self, body: PeerDocument) -> PeerDocument:
        """Return a body that shows our key, if it is one that does."""
        if isinstance(body, Offer | Answer):
            shown = attrs.evolve(body.description, keys=(self.own.record_key,))
            return attrs.evolve(body, description=shown)
        return body

    def key_of(self, peer_id: str) -> RecordKey | None:
        """Return the key of a peer, or None: it is to be looked up."""
        known = self._peers.get(peer_id, _UNKNOWN)
        return known.sent or usable(self._contacts[peer_id].keys) or known.shown

    def is_doubted(self, peer_id: str) -> bool:
        """Tell whether the last offer to a peer was delivered and brought nothing back."""
        return self._peers.get(peer_id, _UNKNOWN).is_doubted

    def offered(self, peer_id: str) -> None:
        """An offer to this peer was delivered."""
        self._change(peer_id, is_doubted=True)

    def heard(self, peer_id: str, body: PeerDocument) -> None:
        """A document of this peer came, which could be opened."""
        keys = body.description.keys if isinstance(body, Offer | Answer) else ()
        sent = usable(keys) or self._peers.get(peer_id, _UNKNOWN).sent
        self._change(peer_id, sent=sent, is_doubted=False)

    def shown(self, peer_id: str, keys: Iterable[RecordKey]) -> None:
        """A look-up by name showed these keys of a peer."""
        self._change(peer_id, shown=usable(keys))

    def looked_up(self, peer_id: str, keys: Iterable[RecordKey]) -> bool:
        """Take the keys that a look-up showed for the peer's; tell whether it had another."""
        before, found = self.key_of(peer_id), usable(keys)
        self._change(peer_id, sent=found, is_doubted=False)
        return None not in (before, found) and before != found

    def _change(self, peer_id: str, **changes: Any) -> None:
        known = attrs.evolve(self._peers.pop(peer_id, _UNKNOWN), **changes)
        if len(self._peers) >= MAX_PEERS:
            del self._peers[next(iter(self._peers))]
        self._peers[peer_id] = known
