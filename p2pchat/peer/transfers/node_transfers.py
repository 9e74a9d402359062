"""The transfers of one node, as its front ends see them: :class:`p2pchat.interfaces.ITransfers`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IProtocol
from zope.interface import implementer

from p2pchat import events
from p2pchat.errors import TransferRefused
from p2pchat.interfaces import ITransfers, ITransferStore
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.settings import FileSettings, TransferInfo
from p2pchat.peer.transfers.receiving import Receiving
from p2pchat.peer.transfers.sending import Sending
from p2pchat.peer.transfers.source_files import Selection, select
from p2pchat.peer.transfers.transfer_records import OFFERED, TransferRecord, TransferRecords
from p2pchat.runtime import Runtime

Open = Callable[[str, str, IProtocol], Deferred[None]]

_QUOTES = ('"', "'")


@implementer(ITransfers)
@attrs.define(eq=False)
class NodeTransfers:
    """
    Transfers of one node, with contacts alone.

    :ivar whom: the id of a peer by what a person calls it; raises WhoError.
    :ivar wanted: called with whom something waits for.
    """

    _runtime: Runtime
    _settings: FileSettings
    _contacts: Contacts
    _store: ITransferStore
    open: Open
    whom: Callable[[str], str]
    tell: Callable[[events.NodeEvent], None]
    wanted: Callable[[str], object]
    _records: TransferRecords = attrs.field(init=False)
    _sending: Sending = attrs.field(init=False)
    _receiving: Receiving = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        runtime = self._runtime
        self._records = TransferRecords(self._contacts, runtime.clock, self.tell)
        parts = self._records, self._store, runtime.in_thread, runtime.clock
        self._sending = Sending(self.open, *parts, runtime.random_bytes)
        self._receiving = Receiving(
            self._settings, *parts, lambda peer_id: self._contacts[peer_id].is_quiet
        )

    # -- life

    def load(self) -> Deferred[None]:
        """Take up what an earlier run left."""

        def loaded(found: list[Any]) -> None:
            for kept in found:
                (self._sending if kept.is_ours else self._receiving).add(kept)

        return self._store.load().addCallback(loaded)

    def stop(self) -> None:
        """End streams."""
        self._sending.stop()
        self._receiving.stop()

    def may(self, peer_id: str) -> bool:
        """Tell whether a peer may offer files: contacts may."""
        person = self._contacts[peer_id]
        return person.is_contact and not person.is_blocked

    def incoming(self, peer_id: str) -> IProtocol | None:
        """Return the protocol of a stream that a peer opens, if it may."""
        return self._receiving.stream(peer_id) if self.may(peer_id) else None

    def linked(self, peer_id: str) -> None:
        """A link to a peer is open."""
        if self.may(peer_id):
            self._sending.linked(peer_id)

    def waiting(self) -> list[str]:
        """Return for whom files wait."""
        return [one for one in self._sending.waiting() if self.may(one)]

    # -- what the person wants

    @inlineCallbacks
    def send(self, argument: str, current: str) -> Any:
        """Offer a file or a folder."""
        path, who = yield self._runtime.in_thread(lambda: split(argument))
        if not who and not current:
            raise TransferRefused("there is no current conversation: /send PATH WHO names another")
        peer_id = self.whom(who) if who else current
        if not self.may(peer_id):
            raise TransferRefused(
                "files go to contacts only: whom you /connect to, accept or /invite becomes one"
            )
        selection: Selection = yield self._runtime.in_thread(lambda: select(path))
        record = yield self._sending.offer(peer_id, selection)
        self.wanted(peer_id)
        return self._records.info(record)

    def find(self, which: str, peer_id: str = "") -> TransferInfo | None:
        """Return the transfer meant."""
        found = self._records.find(which, peer_id)
        return None if found is None else self._records.info(found)

    def accept(self, number: int) -> None:
        """Take what is offered."""
        self._receiving.accept(self._offered(number))

    def refuse(self, number: int) -> None:
        """Want nothing of it."""
        self._receiving.refuse(self._offered(number))

    def _offered(self, number: int) -> TransferRecord:
        record = self._records.numbered(number)
        if record.kept.is_ours:
            raise TransferRefused(f"#{record.number} is yours; /cancel #{record.number} ends it")
        return record

    def cancel(self, number: int) -> None:
        """End a transfer for good."""
        record = self._records.numbered(number)
        if record.kept.is_ours:
            self._sending.cancel(record)
        elif record.state == OFFERED:
            self._receiving.refuse(record)
        else:
            self._receiving.cancel(record)

    def all(self) -> list[TransferInfo]:
        """Return those that are under way or wait."""
        return [self._records.info(one) for one in self._records.shown()]


def split(argument: str) -> tuple[str, str]:
    """
    Return the path and whom it is for, or "".

    :raises TransferRefused: nothing of that name is there.
    """
    if argument.startswith(_QUOTES):
        path, quote, who = argument[1:].partition(argument[0])
        if not quote:
            raise TransferRefused(f"{argument} lacks a closing {argument[0]}")
        return path, who.strip()
    words = argument.split(" ")
    for count in range(len(words), 0, -1):
        path = " ".join(words[:count])
        if path and os.path.lexists(os.path.expanduser(path)):
            return path, " ".join(words[count:]).strip()
    raise TransferRefused(f"there is no file or folder at the beginning of {argument!r}")
