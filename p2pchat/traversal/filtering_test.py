"""
The filtering test that the chat socket can make (after RFC 5780 section 4.4).

The socket has sent to a STUN address, which is asked to answer from another port of the same host
(CHANGE-REQUEST), to which nothing was ever sent.  An answer shows that the filter lets in whatever
comes from a known host; silence, for as long as an answer of the server may take, that it looks at
ports, too.  To tell endpoint-independent from
address-dependent filtering takes a host that nothing was sent to, and so a socket of its own
(:mod:`p2pchat.natcheck.discovery`).
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from p2pchat.traversal.nat import Filtering
from p2pchat.traversal.round_trips import RoundTrips
from p2pchat.traversal.routes import Datagram
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address

SENDS = 4  # requests of a test; one may be lost
INTERVAL = 0.3  # seconds between them


@attrs.define
class FilteringTest:
    """
    The machine of one test; a child of :class:`p2pchat.traversal.gathering.Gathering`.

    :ivar asked: the STUN address that is asked.
    :ivar answers_from: where its answer comes from.
    :ivar trips: the round trips to the server.
    :ivar reading: what is known now.
    :ivar due: when :meth:`handle_timer` has something to do.
    """

    asked: Address
    answers_from: Address
    _random_bytes: Callable[[int], bytes]
    _send: Callable[[Datagram], object]
    reading: Filtering = Filtering.UNKNOWN
    due: float | None = 0.0
    trips: RoundTrips = attrs.Factory(RoundTrips)
    _transaction_id: bytes = b""
    _sends: int = 0

    def handle_timer(self, now: float) -> bool:
        """Ask, or conclude from silence; tells whether the reading changed."""
        if self.due is None or now < self.due:
            return False
        if self._sends == SENDS:
            self.due, self.reading = None, Filtering.ADDRESS_AND_PORT_DEPENDENT
            return True
        self._transaction_id = self._transaction_id or self._random_bytes(12)
        request = stun.request(self._transaction_id, CHANGE_REQUEST=stun.CHANGE_PORT)
        self._send(Datagram(stun.encode(request, fingerprint=True), self.asked))
        self._sends, self.due = self._sends + 1, now + INTERVAL
        if self._sends == SENDS:
            self.due = now + self.trips.limit(INTERVAL)
        return False

    def receive_response(self, message: stun.Message, source: Address) -> bool:
        """Take a response; returns whether it was the answer."""
        if message.transaction_id != self._transaction_id or not self._transaction_id:
            return False
        if source == self.answers_from and message.message_class is stun.MessageClass.SUCCESS:
            self.due, self.reading = None, Filtering.PORT_INDEPENDENT
        return True
