"""
Every seam of p2pchat, as zope interfaces.

A machine does no I/O and reads no clock: its adapter hands it datagrams and the time, and takes
from it datagrams, events and the time of its next wish.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zope.interface import Attribute, Interface


class IMachine(Interface):
    """A pure protocol machine, the five verbs of sans-IO stacks."""

    def receive_datagram(data: bytes, addr: tuple[str, int], now: float) -> None:
        """Take one datagram that came from ``addr``."""

    def handle_timer(now: float) -> None:
        """Do what is due; called at or after the time of :meth:`get_timer`."""

    def get_timer() -> float | None:
        """Return when :meth:`handle_timer` wants to be called, in seconds, or ``None``."""

    def datagrams_to_send(now: float) -> Sequence[object]:
        """Return, and forget, the datagrams that wait."""

    def next_event() -> object | None:
        """Return, and forget, the oldest event, or ``None``."""


class INode(Interface):
    """One peer of the network, as its user interfaces and other programs see it."""

    peer_id = Attribute("Our peer id (str).")
    username = Attribute("What we call ourselves (str).")
    settings = Attribute("The p2pchat.peer.settings.NodeSettings we run with.")

    def listen(listener: Callable[[Any], None]) -> None:
        """Call ``listener`` with each :mod:`p2pchat.peer.events` value from now on."""

    def start() -> object:
        """Bind the socket and begin to register; a Deferred fires once the socket is bound."""

    def stop() -> object:
        """Say goodbye to everybody and the registry; a Deferred fires when all is closed."""

    def connect(who: str) -> object:
        """
        Call a peer, named by its id, the first characters of it, or its name.

        A Deferred of the peer id fires when the offer is on its way; it fails with
        :class:`p2pchat.errors.WhoError` or :class:`p2pchat.errors.RegistryError`.  What follows
        are events.
        """

    def accept(who: str) -> str:
        """Accept the waiting offer of a peer; returns its id, or raises ``WhoError``."""

    def reject(who: str) -> str:
        """Decline the waiting offer of a peer; returns its id, or raises ``WhoError``."""

    def send(peer_id: str, text: str) -> str:
        """
        Put a line into a conversation; returns the message id.

        It is delivered as soon as there is a path.

        :raises WhoError: no conversation and no call with this peer.
        :raises LocalProtocolError: the text is too long.
        """

    def disconnect(peer_id: str) -> None:
        """End a conversation or a call; raises ``WhoError`` where there is none."""

    def find(who: str) -> str:
        """Return the id of the conversation, call or waiting offer meant; raises ``WhoError``."""

    def conversations() -> object:
        """Return a list of :class:`p2pchat.peer.settings.ConversationInfo`."""

    def peers() -> object:
        """Return a Deferred of a list of records, dicts as the registry shows them."""

    def nat() -> object:
        """Return the :class:`p2pchat.peer.events.NatRead` of what is known now."""

    def why(peer_id: str) -> object:
        """Return the :class:`p2pchat.session.story.Story` since the last call, or ``WhoError``."""
