"""Lists of services, grants and streams, as a person and programs are shown them."""

from __future__ import annotations

import attrs


@attrs.frozen
class GrantInfo:
    """
    One grant.

    :ivar name: of the peer, if it is a contact, or "".
    :ivar seconds: for which it is still good; ``None``: until it is revoked.
    """

    service: str
    peer_id: str
    name: str = ""
    seconds: float | None = None


@attrs.frozen
class OfferedInfo:
    """
    One service of ours.

    :ivar allow: whom it lets in beside those with a grant: names of contacts, ids, ``contacts``,
        ``anyone``.
    """

    service: str
    allow: tuple[str, ...] = ()


@attrs.frozen
class OpenStreamInfo:
    """
    One open stream.

    :ivar name: of the peer, if it is a contact, or "".
    :ivar ours: whether we opened it, at their service.
    :ivar path: ``direct``, ``relay``, or "" while there is none.
    :ivar seconds: since when it is open.
    :ivar received: bytes that came.
    :ivar sent: bytes that went.
    """

    peer_id: str
    name: str
    service: str
    ours: bool
    path: str
    seconds: float
    received: int
    sent: int
