"""
What a node tells its user interface: its own events, beside those of its dialogues.

:mod:`p2pchat.session.events` says what holds for all of them.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from p2pchat.natcheck.reading import NatRead
from p2pchat.session.events import (
    CallFailed,
    Calling,
    Checking,
    Connected,
    DialogueEvent,
    Disconnected,
    MessageDelivered,
    MessageReceived,
    MessageSent,
    OfferEnded,
    OfferReceived,
    PathFound,
    PathLost,
    Renamed,
    Rings,
)


@attrs.frozen
class Starting:
    """
    The program begins to register.

    :ivar state: the state directory; "": all is kept in memory and ends with the program.
    :ivar remembered: what is kept there for the first time or anew: of ``identity``, ``username``
        and ``server``.
    """

    NAME: ClassVar[str] = "starting"

    peer_id: str
    username: str
    server: str
    version: str
    state: str = ""
    remembered: tuple[str, ...] = ()


@attrs.frozen
class Leaving:
    """Saying goodbye takes a while; what is typed is obeyed no more."""

    NAME: ClassVar[str] = "leaving"

    seconds: float  # that it may take at most


@attrs.frozen
class Registered:
    """The registry holds our record; said again after the registry was away."""

    NAME: ClassVar[str] = "registered"

    peer_id: str
    username: str
    server: str
    ip: str
    port: int  # of our server-reflexive candidate; 0 while it isn't known


@attrs.frozen
class RegistryLost:
    """The registry can't be reached, or its event stream ended; running conversations go on."""

    NAME: ClassVar[str] = "registry_lost"

    reason: str
    retry_in: float  # seconds until the next try


@attrs.frozen
class ContactChanged:
    """
    What is kept of a peer has changed.

    ``change`` is ``added`` (a contact, by a conversation that the person began or accepted),
    ``forgotten``, ``muted``, ``unmuted``, ``blocked`` or ``unblocked``; the members after it say
    what holds now.
    """

    NAME: ClassVar[str] = "contact"

    peer_id: str
    name: str
    change: str
    contact: bool
    muted: bool
    blocked: bool


@attrs.frozen
class Trouble:
    """
    Something that the person should know and that ends nothing.

    ``word`` says for programs what kind it is, "" where it is none of its own.
    """

    NAME: ClassVar[str] = "error"

    reason: str
    word: str = ""


NodeEvent = (
    DialogueEvent
    | Starting
    | Leaving
    | Registered
    | RegistryLost
    | NatRead
    | ContactChanged
    | Trouble
)

__all__ = [
    "CallFailed",
    "Calling",
    "Checking",
    "Connected",
    "ContactChanged",
    "DialogueEvent",
    "Disconnected",
    "Leaving",
    "MessageDelivered",
    "MessageReceived",
    "MessageSent",
    "NatRead",
    "NodeEvent",
    "OfferEnded",
    "OfferReceived",
    "PathFound",
    "PathLost",
    "Registered",
    "RegistryLost",
    "Renamed",
    "Rings",
    "Starting",
    "Trouble",
]
