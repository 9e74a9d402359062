"""
Pairing: two people who share an invitation learn each other's keys, through a registry that isn't
trusted.

::

    inviter: OPEN ──response that proves──▶ PAIRED     joiner: READY ──message A──▶ WAITING
               │──one that doesn't──▶ BURNT                      completion that proves ──▶ PAIRED
               └──taken back, expired──▶ ENDED                   one that doesn't, burnt ──▶ BURNT
                                                                 expired ──▶ ENDED

    password    secret?parameters, of the invitation
    idA, idB    LABEL | 0x00 | inviter or joiner | 0x00 | origin | 0x00 | nameplate
    key         of SPAKE2 with these, in the group of Ed25519, as the package ``spake2`` makes it
    keys        HKDF-SHA-256(key, info = LABEL | 0x00 | origin | 0x00 | nameplate | 0x00 | A | B,
                             L = 160)
                  = session | joiner's confirmation key | inviter's | joiner's card key | inviter's
    card        AES-256-GCM, of a signed document of type card, with blanks up to the next multiple
                of CARD_STEP bytes; the key is used once, the nonce is zero; its audience is the
                session, in base64url
    joiner's confirmation
                HMAC-SHA-256(key, LABEL | joiner | 0x00 | joiner's id | SHA-256(joiner's card))
    inviter's confirmation
                HMAC-SHA-256(key, LABEL | inviter | 0x00 | inviter's id | joiner's id
                                  | SHA-256(joiner's card) | SHA-256(inviter's card))

SPAKE2 gives a key and no confirmation: so we make our own.  The joiner shows first that it knows
the secret, before the inviter says anything of itself; whoever guesses has one guess, after which
the invitation is burnt.  The joiner's confirmation can't name the inviter, whom it doesn't know
yet; the inviter's names both and covers both cards.  AES-GCM doesn't commit to its key, HMAC does:
nobody is taken for paired by a card that opens.

The signature in a card is over the session, so that nobody can introduce another's key as their
own, nor use a card again.  The origin in ids and keys keeps a registry from passing messages on to
another one.

``spake2`` isn't constant-time: an invitation is tried once, and its numbers never come back.  They
are made of a seed, so that an invitation outlives the program that made it.
"""

from __future__ import annotations

import hmac
from enum import Enum
from hashlib import sha256, shake_256
from typing import TYPE_CHECKING

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from p2pchat.errors import LocalProtocolError, RemoteProtocolError
from p2pchat.identity.keys import Identity, peer_id_octets
from p2pchat.identity.signed_documents import open_document, sign_document
from p2pchat.wire.base64url import encode_bytes
from p2pchat.wire.documents import Card
from p2pchat.wire.invitations import Invitation
from p2pchat.wire.nameplates import MAX_CARD, Completion, PakeResponse

if TYPE_CHECKING:
    from spake2 import SPAKE2_A, SPAKE2_B

LABEL = b"p2pchat 1 pairing"
SEED = 32  # bytes
KEY = 32  # bytes of each of the keys
CARD_STEP = 256  # bytes: the length tells of a name only in steps
TAG = 16  # bytes of AES-GCM
_NONCE = bytes(12)  # each key seals one card


class PairingStage(Enum):
    """Stages of a side."""

    OPEN = "open"  # the inviter's message is out
    READY = "ready"  # the joiner has seen nothing yet
    WAITING = "waiting"  # the joiner's try is out
    PAIRED = "paired"
    BURNT = "burnt"  # a try showed no knowledge of the secret
    ENDED = "ended"  # taken back, or expired


class PairingInput(Enum):
    """Inputs of a side."""

    MESSAGE = "message"  # the inviter's first message
    PROVED = "proved"  # a response or completion that shows knowledge of the secret
    DISPROVED = "disproved"  # one that doesn't
    END = "end"


_TRANSITIONS = {
    (PairingStage.OPEN, PairingInput.PROVED): PairingStage.PAIRED,
    (PairingStage.OPEN, PairingInput.DISPROVED): PairingStage.BURNT,
    (PairingStage.OPEN, PairingInput.END): PairingStage.ENDED,
    (PairingStage.READY, PairingInput.MESSAGE): PairingStage.WAITING,
    (PairingStage.READY, PairingInput.DISPROVED): PairingStage.BURNT,
    (PairingStage.READY, PairingInput.END): PairingStage.ENDED,
    (PairingStage.WAITING, PairingInput.PROVED): PairingStage.PAIRED,
    (PairingStage.WAITING, PairingInput.DISPROVED): PairingStage.BURNT,
    (PairingStage.WAITING, PairingInput.END): PairingStage.ENDED,
}


@attrs.frozen
class Partner:
    """
    The other side of a pairing, as it proved itself.

    :ivar card: what it says of itself.
    """

    peer_id: str
    card: Card


@attrs.frozen
class _Keys:
    """Keys that only two who share an invitation have."""

    session: str
    joiner_confirms: bytes = attrs.field(repr=False)
    inviter_confirms: bytes = attrs.field(repr=False)
    joiner_seals: bytes = attrs.field(repr=False)
    inviter_seals: bytes = attrs.field(repr=False)

    @classmethod
    def derive(cls, key: bytes, invitation: Invitation, messages: bytes) -> _Keys:
        info = b"\x00".join((LABEL, *_place(invitation), messages))
        derived = HKDF(SHA256(), 5 * KEY, None, info).derive(key)
        parts = [derived[at : at + KEY] for at in range(0, len(derived), KEY)]
        return cls(encode_bytes(parts[0]), *parts[1:])

    def joiners(self, joiner: str, card: bytes) -> bytes:
        """Return the joiner's confirmation."""
        said = LABEL + b"joiner\x00" + peer_id_octets(joiner) + sha256(card).digest()
        return hmac.digest(self.joiner_confirms, said, sha256)

    def inviters(self, inviter: str, joiner: str, theirs: bytes, card: bytes) -> bytes:
        """Return the inviter's confirmation."""
        ids = peer_id_octets(inviter) + peer_id_octets(joiner)
        cards = sha256(theirs).digest() + sha256(card).digest()
        return hmac.digest(self.inviter_confirms, LABEL + b"inviter\x00" + ids + cards, sha256)


@attrs.define(eq=False)
class _Side:
    """
    Base of both sides.

    :ivar invitation: what both have.
    :ivar seed: SEED random bytes, of which all its numbers are made.
    """

    _identity: Identity
    invitation: Invitation
    seed: bytes = attrs.field(repr=False)
    stage: PairingStage = attrs.field(init=False)

    def end(self) -> None:
        """Let nothing more happen: it was taken back, or has expired."""
        self._take(PairingInput.END)

    def _take(self, event: PairingInput) -> None:
        """
        Go on to the stage that follows.

        :raises LocalProtocolError: none does: a secret is tried once.
        """
        stage = _TRANSITIONS.get((self.stage, event))
        if stage is None:
            raise LocalProtocolError(f"{event.value} when {self.stage.value}")
        self.stage = stage

    def _seal(self, card: Card, session: str, key: bytes, now: float) -> bytes:
        """Sign a card and seal it."""
        name = encode_bytes(shake_256(self.seed + b"name").digest(16))
        token = sign_document(self._identity, session, card, now, name).encode("ascii")
        padded = token.ljust(-(-len(token) // CARD_STEP) * CARD_STEP)
        sealed = AESGCM(key).encrypt(_NONCE, padded, None)
        if len(sealed) > MAX_CARD:
            raise LocalProtocolError(f"a card of {len(sealed)} bytes, {MAX_CARD} allowed")
        return sealed

    def _source(self, length: int) -> bytes:
        """Return the numbers of SPAKE2, always the same for a seed."""
        return shake_256(self.seed + b"spake2").digest(length)


@attrs.define(eq=False)
class Inviter(_Side):
    """
    The side that made the invitation.

    :ivar message: its message of SPAKE2, for the claim.
    """

    stage: PairingStage = attrs.field(init=False, default=PairingStage.OPEN)
    message: bytes = attrs.field(init=False)
    _pake: SPAKE2_A = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        ids = _ids(self.invitation)
        from spake2 import SPAKE2_A  # noqa: PLC0415 - computes tables at import

        self._pake = SPAKE2_A(self.invitation.password, *ids, entropy_f=self._source)
        self.message = self._pake.start()

    def receive(
        self, response: PakeResponse, card: Card, now: float
    ) -> tuple[Completion, Partner | None]:
        """
        Take the one try; return what answers it, and who made it: nobody, if it failed.

        :param card: ours; whom it is for is written into it here.
        :param now: seconds since 1970.
        :raises LocalProtocolError: it isn't the first.
        """
        place = self.invitation.nameplate
        if self.stage is not PairingStage.OPEN:
            self._take(PairingInput.PROVED)
        try:
            keys, partner = self._check(response)
        except RemoteProtocolError:
            self._take(PairingInput.DISPROVED)
            return Completion(place), None
        self._take(PairingInput.PROVED)
        ours = attrs.evolve(card, reader=partner.peer_id)
        sealed = self._seal(ours, keys.session, keys.inviter_seals, now)
        confirmation = keys.inviters(self._identity.peer_id, partner.peer_id, response.card, sealed)
        return Completion(place, confirmation, sealed), partner

    def _check(self, response: PakeResponse) -> tuple[_Keys, Partner]:
        key = _finished(self._pake, response.message)
        keys = _Keys.derive(key, self.invitation, self.message + response.message)
        partner = _opened(response.card, keys.session, keys.joiner_seals)
        expected = keys.joiners(partner.peer_id, response.card)
        _compare(expected, response.confirmation)
        return keys, partner


@attrs.define(eq=False)
class Joiner(_Side):
    """The side that was given the invitation."""

    stage: PairingStage = attrs.field(init=False, default=PairingStage.READY)
    _keys: _Keys = attrs.field(init=False)
    _card: bytes = attrs.field(init=False, repr=False)

    def respond(self, message: bytes, card: Card, now: float) -> PakeResponse:
        """
        Return the one try, for the inviter's message.

        :param card: ours.
        :param now: seconds since 1970.
        :raises RemoteProtocolError: the message is none.
        :raises LocalProtocolError: it was tried before.
        """
        ours = self._meet(message)
        self._card = self._seal(card, self._keys.session, self._keys.joiner_seals, now)
        confirmation = self._keys.joiners(self._identity.peer_id, self._card)
        return PakeResponse(ours, confirmation, self._card)

    def resume(self, message: bytes, response: PakeResponse) -> None:
        """
        Wait for the answer to a try that a side of the same seed made.

        :raises RemoteProtocolError: the message is none.
        """
        self._meet(message)
        self._card = response.card

    def _meet(self, message: bytes) -> bytes:
        """Derive the keys from the inviter's message; return ours."""
        self._take(PairingInput.MESSAGE)
        ids = _ids(self.invitation)
        from spake2 import SPAKE2_B  # noqa: PLC0415 - as above

        pake = SPAKE2_B(self.invitation.password, *ids, entropy_f=self._source)
        ours: bytes = pake.start()
        try:
            key = _finished(pake, message)
        except RemoteProtocolError:
            self._take(PairingInput.DISPROVED)
            raise
        self._keys = _Keys.derive(key, self.invitation, message + ours)
        return ours

    def receive(self, completion: Completion) -> Partner:
        """
        Take the inviter's answer, and return who that is.

        :raises RemoteProtocolError: it shows no knowledge of the secret, or says that our try
            didn't.
        """
        try:
            if self.stage is PairingStage.WAITING and completion.is_burnt:
                raise RemoteProtocolError("our try showed no knowledge of the secret")
            partner = self._check(completion)
        except RemoteProtocolError:
            self._take(PairingInput.DISPROVED)
            raise
        self._take(PairingInput.PROVED)
        return partner

    def _check(self, completion: Completion) -> Partner:
        partner = _opened(completion.card, self._keys.session, self._keys.inviter_seals)
        joiner = self._identity.peer_id
        if partner.card.reader != joiner:
            raise RemoteProtocolError("a card for somebody else")
        expected = self._keys.inviters(partner.peer_id, joiner, self._card, completion.card)
        _compare(expected, completion.confirmation)
        return partner


def _place(invitation: Invitation) -> tuple[bytes, bytes]:
    return invitation.origin.encode("ascii"), invitation.nameplate.encode("ascii")


def _ids(invitation: Invitation) -> tuple[bytes, bytes]:
    """Return the ids of inviter and joiner for SPAKE2."""
    place = _place(invitation)
    return b"\x00".join((LABEL, b"inviter", *place)), b"\x00".join((LABEL, b"joiner", *place))


def _finished(pake: SPAKE2_A | SPAKE2_B, message: bytes) -> bytes:
    """
    Return the key.

    :raises RemoteProtocolError: the message is none, or our own.
    """
    try:
        key: bytes = pake.finish(message)
    except Exception:  # what the package raises of a point that is none has no base class
        raise RemoteProtocolError("no message of SPAKE2") from None
    return key


def _opened(card: bytes, session: str, key: bytes) -> Partner:
    """
    Open a card and check who signed it, for this session.

    :raises RemoteProtocolError: it was sealed with another secret, or it isn't a card.
    """
    try:
        token = AESGCM(key).decrypt(_NONCE, card, None).decode("ascii").rstrip()
    except (InvalidTag, ValueError):
        raise RemoteProtocolError("a card that was sealed with another secret") from None
    document = open_document(token)
    if not isinstance(document.body, Card) or document.audience != session:
        raise RemoteProtocolError("no card of this pairing")
    return Partner(document.issuer, document.body)


def _compare(expected: bytes, confirmation: bytes) -> None:
    if not hmac.compare_digest(expected, confirmation):
        raise RemoteProtocolError("a confirmation that doesn't hold")
