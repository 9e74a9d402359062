"""
STUN request transactions with a server that wants long-term credentials (RFC 8489 section 9.2).

Owns transaction ids, retransmission, the answer to a challenge (401, 438) and the integrity of
responses.  Whoever asks sees a request and, once, its :class:`Answer`.

Over UDP a request is sent again after RETRANSMIT_AFTER of :mod:`p2pchat.traversal.gathering`
(a deviation explained there); over a stream it is sent once, and has STREAM_DEADLINE.

A response to a signed request must be signed with the same key, errors too, except those in
UNSIGNED (section 9.2.5); one that isn't is dropped as if it had never come.  Deviations: UNSIGNED
has more than 401 and 438, because coturn doesn't sign the others either; the key is always that of
MD5, and integrity HMAC-SHA1, which every server must offer for the sake of RFC 5389.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from p2pchat.traversal.gathering import RETRANSMIT_AFTER
from p2pchat.traversal.timers import earliest
from p2pchat.wire import stun
from p2pchat.wire.servers import LongTermCredential

STREAM_DEADLINE = 5.0  # seconds; RFC 8489 section 6.2.2 allows 39.5, a person doesn't
MAX_CHALLENGES = 3  # new nonces or realms for one request; more is a server that can't be pleased
MAX_TOKEN = 763  # bytes of REALM and NONCE, RFC 8489 sections 14.9 and 14.10

UNAUTHENTICATED, STALE_NONCE = 401, 438  # error codes, RFC 8489 section 14.8
UNSIGNED = {401, 437, 438, 441}  # error codes; who can forge them could swallow requests as well
SUCCESS, NO_ANSWER = 0, -1  # in place of an error code


@attrs.frozen
class Request:
    """What is asked."""

    method: int
    attributes: stun.Attributes


@attrs.frozen
class Answer:
    """
    How a request ended.

    :ivar code: SUCCESS, NO_ANSWER, or the code of the error response.
    :ivar attributes: of the response; empty without one.
    """

    request: Request
    code: int
    attributes: stun.Attributes = attrs.Factory(dict)


@attrs.frozen
class _Challenge:
    """What the server last told us to sign with."""

    realm: str
    nonce: bytes
    key: bytes = attrs.field(repr=False)


@attrs.define
class _Transaction:
    request: Request
    data: bytes
    challenge: _Challenge | None
    challenges: int
    due: float
    sends: int = 1


@attrs.define
class Transactions:
    """
    The open requests to one server.

    :ivar reliable: whether a stream carries them.
    :ivar send: takes a frame that is to go to the server.
    """

    credentials: LongTermCredential
    reliable: bool
    _random_bytes: Callable[[int], bytes]
    send: Callable[[bytes], object]
    _challenge: _Challenge | None = None
    _open: dict[bytes, _Transaction] = attrs.Factory(dict)

    def ask(self, request: Request, now: float) -> None:
        """Send a request."""
        self._begin(request, 0, now)

    def forget(self) -> None:
        """Await no answers any more."""
        self._open.clear()

    def _begin(self, request: Request, challenges: int, now: float) -> None:
        identifier = self._random_bytes(12)
        attributes, key = dict(request.attributes), None
        if self._challenge is not None:
            attributes["USERNAME"] = self.credentials.username
            attributes["REALM"] = self._challenge.realm
            attributes["NONCE"] = self._challenge.nonce
            key = self._challenge.key
        message = stun.Message(stun.MessageClass.REQUEST, identifier, attributes, request.method)
        data = stun.encode(message, key)
        wait = STREAM_DEADLINE if self.reliable else RETRANSMIT_AFTER[0]
        self._open[identifier] = _Transaction(
            request, data, self._challenge, challenges, now + wait
        )
        self.send(data)

    def receive(self, message: stun.Message, now: float) -> Answer | None:
        """Take a response; returns the answer when that ends a request."""
        transaction = self._open.get(message.transaction_id)
        if transaction is None or not self._is_authentic(transaction, message):
            return None
        del self._open[message.transaction_id]
        code = _code(message)
        if self._accepts_challenge(transaction, code, message):
            self._begin(transaction.request, transaction.challenges + 1, now)
            return None
        return Answer(transaction.request, code, message.attributes)

    @staticmethod
    def _is_authentic(transaction: _Transaction, message: stun.Message) -> bool:
        if message.method != transaction.request.method:
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
            return False  # it knew this realm's key, and didn't like it
        self._challenge = _Challenge(realm, nonce, self.credentials.key(realm))
        return transaction.challenges < MAX_CHALLENGES

    def handle_timer(self, now: float) -> list[Answer]:
        """Send again what is due; return the requests that are given up."""
        given_up = []
        for identifier, transaction in list(self._open.items()):
            if now < transaction.due:
                continue
            if self.reliable or transaction.sends > len(RETRANSMIT_AFTER):
                del self._open[identifier]
                given_up.append(Answer(transaction.request, NO_ANSWER))
            else:
                self._send_again(transaction, now)
        return given_up

    def _send_again(self, transaction: _Transaction, now: float) -> None:
        self.send(transaction.data)
        wait = RETRANSMIT_AFTER[min(transaction.sends, len(RETRANSMIT_AFTER) - 1)]
        transaction.sends, transaction.due = transaction.sends + 1, now + wait

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` has something to do."""
        return earliest(*(transaction.due for transaction in self._open.values()))


def _code(response: stun.Message) -> int:
    if response.message_class is stun.MessageClass.SUCCESS:
        return SUCCESS
    code: int = response.attributes.get("ERROR-CODE", (500, ""))[0]
    return code
