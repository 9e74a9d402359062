"""What a machine asks its adapter to send."""

from __future__ import annotations

import attrs

from p2pchat.wire.addresses import Address


@attrs.frozen
class Datagram:
    """
    One UDP datagram on its way out.

    :ivar ttl: IP time to live in hops; ``None`` for the system's own.
    """

    data: bytes
    destination: Address
    ttl: int | None = None
