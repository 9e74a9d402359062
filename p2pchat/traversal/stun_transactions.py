"""
STUN request transactions with a server that wants long-term credentials (RFC 8489 section 9.2).

Owns transaction ids, retransmission, the answer to a challenge (401, 438) and the integrity of
responses.  Each request ends in one :class:`Outcome`.

Over UDP a request is sent again after RETRANSMIT_AFTER of :mod:`p2pchat.traversal.gathering`
(a deviation explained there); over a stream it is sent once, and has STREAM_DEADLINE.  Both have
longer where round trips to the server are long (:mod:`p2pchat.traversal.round_trips`).

A response to a signed request must be signed with the same key, errors too, except those in
UNSIGNED (section 9.2.5); one that isn't is dropped as if it had never come.  Deviations: UNSIGNED
has more than 401 and 438, because coturn doesn't sign the others either; the key is always that of
MD5, and integrity HMAC-SHA1, which every server must offer for the sake of RFC 5389.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from p2pchat.traversal.earliest import earliest
from p2pchat.traversal.gathering import GIVEN_UP_AFTER, RETRANSMIT_AFTER
from p2pchat.traversal.round_trips import RoundTrips
from p2pchat.wire import stun
from p2pchat.wire.servers import LongTermCredential

STREAM_DEADLINE = 5.0  # seconds; RFC 8489 section 6.2.2 allows 39.5, a person doesn't
MAX_CHALLENGES = 3  # new nonces or realms for one request; more is a server that can't be pleased
MAX_TOKEN = 763  # bytes of REALM and NONCE, RFC 8489 sections 14.9 and 14.10

UNAUTHENTICATED, STALE_NONCE = 401, 438  # error codes, RFC 8489 section 14.8
UNSIGNED = {401, 437, 438, 441}  # error codes; who can forge them could swallow requests as well
SUCCESS, NO_ANSWER = 0, -1  # in place of an error code


@attrs.frozen
class Outcome:
    """
    Outcome of a request.

    :ivar method: of the request.
    :ivar asked: the attributes of the request.
    :ivar code: SUCCESS, NO_ANSWER, or the code of the error response.
    :ivar attributes: of the response; empty without one.
    """

    method: int
    asked: stun.Attributes
    code: int
    attributes: stun.Attributes = attrs.Factory(dict)


@attrs.frozen
class _AuthChallenge:
    """The realm and nonce that the server wants requests signed with."""

    realm: str
    nonce: bytes
    key: bytes = attrs.field(repr=False)


@attrs.define
class _Transaction:
    method: int
    asked: stun.Attributes
    data: bytes
    challenge: _AuthChallenge | None
    challenges: int
    began: float
    due: float
    sends: int = 1


@attrs.define
class Transactions:
    """
    The open requests to one server.

    :ivar reliable: whether a stream carries them.
    :ivar send: takes a frame that is to go to the server.
    :ivar trips: the round trips to it.
    :ivar has_heard: whether it has answered.
    """

    credentials: LongTermCredential
    reliable: bool
    _random_bytes: Callable[[int], bytes]
    send: Callable[[bytes], object]
    trips: RoundTrips = attrs.Factory(RoundTrips)
    has_heard: bool = False
    _challenge: _AuthChallenge | None = None
    _open: dict[bytes, _Transaction] = attrs.Factory(dict)

    def ask(self, method: int, attributes: stun.Attributes, now: float) -> None:
        """Send a request."""
        self._begin(method, attributes, 0, now)

    def forget(self) -> None:
        """Abandon all open requests."""
        self._open.clear()

    def _begin(self, method: int, asked: stun.Attributes, challenges: int, now: float) -> None:
        identifier, challenge = self._random_bytes(12), self._challenge
        attributes, key = dict(asked), None
        if challenge is not None:
            attributes["USERNAME"] = self.credentials.username
            attributes["REALM"], attributes["NONCE"] = challenge.realm, challenge.nonce
            key = challenge.key
        message = stun.Message(stun.MessageClass.REQUEST, identifier, attributes, method)
        data = stun.encode(message, key)
        wait = self.trips.limit(STREAM_DEADLINE) if self.reliable else RETRANSMIT_AFTER[0]
        self._open[identifier] = _Transaction(
            method, asked, data, challenge, challenges, now, now + wait
        )
        self.send(data)

    def receive(self, message: stun.Message, now: float) -> Outcome | None:
        """Take a response; returns the answer when that ends a request."""
        transaction = self._open.get(message.transaction_id)
        if transaction is None or not self._is_authentic(transaction, message):
            return None
        del self._open[message.transaction_id]
        self.trips.measured(now - transaction.began)
        self.has_heard = True
        code = _code(message)
        if self._accepts_challenge(transaction, code, message):
            # The challenged request is over; the same one, signed, is a new transaction.
            again = transaction.challenges + 1
            self._begin(transaction.method, transaction.asked, again, now)
            return None
        return Outcome(transaction.method, transaction.asked, code, message.attributes)

    @staticmethod
    def _is_authentic(transaction: _Transaction, message: stun.Message) -> bool:
        if message.method != transaction.method:
            return False
        unsigned = "MESSAGE-INTEGRITY" not in message.attributes
        if transaction.challenge is None or (unsigned and _code(message) in UNSIGNED):
            return True
        return message.integrity_holds(transaction.challenge.key)

    def _accepts_challenge(
        self, transaction: _Transaction, code: int, message: stun.Message
    ) -> bool:
        """Take realm and nonce from an error; tells whether to ask again with them."""
        if code not in {UNAUTHENTICATED, STALE_NONCE}:
            return False
        used = transaction.challenge
        nonce = message.attributes.get("NONCE", b"")
        realm = message.attributes.get("REALM", used.realm if used else "")
        if not nonce or not realm or max(len(nonce), len(realm.encode())) > MAX_TOKEN:
            return False
        if code == UNAUTHENTICATED and used is not None and used.realm == realm:
            return False  # our credentials are wrong: this key, in this realm, was refused
        self._challenge = _AuthChallenge(realm, nonce, self.credentials.key(realm))
        return transaction.challenges < MAX_CHALLENGES

    def handle_timer(self, now: float) -> list[Outcome]:
        """Send again what is due; return the requests that are given up."""
        given_up = []
        for identifier, transaction in list(self._open.items()):
            if now < transaction.due:
                continue
            if self.reliable or transaction.sends > len(RETRANSMIT_AFTER):
                del self._open[identifier]
                given_up.append(Outcome(transaction.method, transaction.asked, NO_ANSWER))
            else:
                self._send_again(transaction, now)
        return given_up

    def _send_again(self, transaction: _Transaction, now: float) -> None:
        self.send(transaction.data)
        wait = RETRANSMIT_AFTER[min(transaction.sends, len(RETRANSMIT_AFTER) - 1)]
        if transaction.sends == len(RETRANSMIT_AFTER):
            wait = max(wait, transaction.began + self.trips.limit(GIVEN_UP_AFTER) - now)
        transaction.sends, transaction.due = transaction.sends + 1, now + wait

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` has something to do."""
        return earliest(*(transaction.due for transaction in self._open.values()))


def _code(response: stun.Message) -> int:
    if response.message_class is stun.MessageClass.SUCCESS:
        return SUCCESS
    code: int = response.attributes.get("ERROR-CODE", (500, ""))[0]
    return code
