"""
Connectivity checks of one attempt (RFC 8445 section 7): making them, answering and judging them.

A check is a STUN Binding request, and is answered by a success response::

    USERNAME            remote:local, the fragments of the receiver and of the sender
    PRIORITY            8 bits type preference: whether a relay carries the check
                        24 bits number of the sender's last nomination
    USE-CANDIDATE       where the sender, who made the offer, nominates the pair
    PADDING             where it asks what size the path carries: the answer is to be as long
    MESSAGE-INTEGRITY   keyed by the secret of the attempt (:mod:`p2pchat.identity.exchange`)
    FINGERPRINT

Deviations from RFC 8445: PRIORITY has these members, for round-trip time decides; there are no
role conflicts, for the offer settles the roles, and so no ICE-CONTROLLING.
"""

from __future__ import annotations

import attrs

from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import CandidateType

RELAYED_PREFERENCE = 0  # type preferences, RFC 8445 section 5.1.2.2; in PRIORITY they tell ...
REFLEXIVE_PREFERENCE = 110  # ... the other side whether a check comes over a relay
MAX_NOMINATION = 0xFFFFFF
MAX_RESPONSE = 76  # bytes; an IPv6 address is told
MAX_PADDED = 65_504  # bytes of a padded check or response; what UDP over IPv4 has, in fours
_TAIL = 32  # bytes of MESSAGE-INTEGRITY and FINGERPRINT
_USE_CANDIDATE = 4  # bytes of the attribute


def size(message: stun.Message) -> int:
    """Return the bytes of a check or response that has MESSAGE-INTEGRITY and FINGERPRINT."""
    return len(message.integrity_covers or b"") + _TAIL


@attrs.frozen
class Check:
    """
    Content of an authentic check.

    :ivar source_type: what its source is, where we weren't told that address.
    :ivar nomination: the number of the nomination; ``None`` where it nominates nothing.
    :ivar padded: bytes that it has with its PADDING (RFC 5780 section 7.6); 0 without.
    """

    source_type: CandidateType
    nomination: int | None
    padded: int = 0


@attrs.frozen
class CheckCredentials:
    """Credentials of an attempt's checks: both username fragments and the shared key."""

    local_ufrag: str
    remote_ufrag: str
    key: bytes = attrs.field(repr=False)

    def request(
        self,
        transaction_id: bytes,
        relayed: bool = False,
        nomination: int = 0,
        nominates: bool = False,
        padded: int = 0,
    ) -> bytes:
        """
        Make a check.

        :param relayed: whether our relay carries it.
        :param nomination: the number of our nomination of its pair, or 0.
        :param nominates: whether that hasn't been answered yet.
        :param padded: bytes that it is to have, a multiple of 4, if that is more than it needs.
        """
        preference = RELAYED_PREFERENCE if relayed else REFLEXIVE_PREFERENCE
        flags = {"USE_CANDIDATE": None} if nominates else {}
        request = stun.request(
            transaction_id,
            USERNAME=f"{self.remote_ufrag}:{self.local_ufrag}",
            PRIORITY=preference << 24 | nomination,
            **flags,
        )
        return self._encode(request, padded)

    def _encode(self, message: stun.Message, padded: int) -> bytes:
        """Write a message, with PADDING up to a size if there is room for it."""
        data = stun.encode(message, self.key, fingerprint=True)
        room = min(padded, MAX_PADDED) - len(data) - 4  # a header of four bytes
        if room < 0:
            return data
        attributes = {**message.attributes, "PADDING": bytes(room)}
        return stun.encode(attrs.evolve(message, attributes=attributes), self.key, fingerprint=True)

    def max_request(self) -> int:
        """Return the bytes of a check that nominates, the longest there is."""
        return len(self.request(bytes(12))) + _USE_CANDIDATE

    def read(self, message: stun.Message) -> Check | None:
        """Return what a check of the other side says, or ``None``: it isn't authentic."""
        attributes = message.attributes
        if attributes.get("USERNAME") != f"{self.local_ufrag}:{self.remote_ufrag}":
            return None
        if not message.integrity_holds(self.key) or message.unknown_required:
            return None
        priority = attributes.get("PRIORITY", REFLEXIVE_PREFERENCE << 24)
        # A direct check's source that we weren't told is a mapping that its NAT made just now.
        is_relayed = priority >> 24 == RELAYED_PREFERENCE
        source = CandidateType.RELAYED if is_relayed else CandidateType.PEER_REFLEXIVE
        number = priority & MAX_NOMINATION if "USE-CANDIDATE" in attributes else None
        return Check(source, number, size(message) if "PADDING" in attributes else 0)

    def response(self, message: stun.Message, source: Address, padded: int = 0) -> bytes:
        """
        Answer a check that came from there.

        :param padded: bytes that the answer is to have, if that is more than it needs.
        """
        return self._encode(stun.success(message, XOR_MAPPED_ADDRESS=source), padded)

    def accepts(self, response: stun.Message) -> bool:
        """Tell whether a response is a success, and authentic."""
        succeeded = response.message_class is stun.MessageClass.SUCCESS
        return succeeded and response.integrity_holds(self.key)
