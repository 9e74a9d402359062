"""
The table of a node's transfers: what each is now, by which number a person means it, and the events
of what becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from p2pchat import events
from p2pchat.errors import TransferRefused
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.settings import TransferInfo
from p2pchat.peer.storage.kept_transfers import KeptTransfer
from p2pchat.peer.transfers.file_streams import FileStream
from p2pchat.session.transfer_rate import TransferRate

OFFERED, WAITS, ACTIVE, STOPPED = "offered", "waits", "active", "stopped"
PROGRESS = 1.0  # seconds between two reports of one transfer
SHORTEST_ID = 8  # digits of an id that mean a transfer

Key = tuple[str, bytes, bool]


@attrs.define(eq=False)
class TransferRecord:
    """
    One transfer.

    :ivar state: as in TransferInfo.
    :ivar stream: the open one.
    :ivar path: as in TransferInfo.
    :ivar first: some files of an offer.
    :ivar skipped: how many files weren't sent.
    :ivar retry: when it is tried again.
    :ivar failures: in a row, since anything was stored.
    :ivar is_quiet: it stopped, and that was said.
    :ivar again: bytes that are sent twice because it stopped.
    """

    number: int
    kept: KeptTransfer
    state: str
    path: str = ""
    stream: FileStream | None = None
    done: int = 0
    reason: str = ""
    skipped: int = 0
    rate: TransferRate = attrs.Factory(TransferRate)
    reported_at: float = -PROGRESS
    retry: IDelayedCall | None = None
    failures: int = 0
    is_quiet: bool = False
    again: int = 0

    @property
    def id(self) -> str:
        """What both sides call it."""
        return self.kept.members.name.hex()

    @property
    def peer_id(self) -> str:
        """The other side."""
        return self.kept.peer_id


@attrs.define(eq=False)
class TransferRecords:
    """
    All of one node.

    :ivar tell: takes each event.
    """

    _contacts: Contacts
    _clock: IReactorTime
    tell: Callable[[events.NodeEvent], None]
    _records: dict[Key, TransferRecord] = attrs.Factory(dict)
    _count: int = 0

    def __iter__(self) -> Iterator[TransferRecord]:
        """Return all, oldest first."""
        return iter(list(self._records.values()))

    def add(self, kept: KeptTransfer, state: str) -> TransferRecord:
        """Take another one."""
        self._count += 1
        record = TransferRecord(self._count, kept, state)
        self._records[kept.key] = record
        return record

    def get(self, key: Key) -> TransferRecord | None:
        """Return one by its key."""
        return self._records.get(key)

    def drop(self, record: TransferRecord) -> None:
        """Forget one."""
        self._records.pop(record.kept.key, None)

    def shown(self) -> list[TransferRecord]:
        """Return those that a person may mean."""
        return [one for one in self if not one.kept.is_cancelled]

    def numbered(self, number: int) -> TransferRecord:
        """
        Return the one of a number.

        :raises TransferRefused: there is none.
        """
        for one in self.shown():
            if one.number == number:
                return one
        raise TransferRefused("that transfer has ended")

    def find(self, which: str, peer_id: str) -> TransferRecord | None:
        """
        Return the one that a person means.

        :raises TransferRefused: several are meant, or none by that number.
        """
        found = self.shown()
        if peer_id or not which:
            found = [one for one in found if one.state == OFFERED]
            found = [one for one in found if peer_id in {"", one.peer_id}]
        elif which.startswith("#"):
            found = [one for one in found if f"#{one.number}" == which]
            if not found:
                raise TransferRefused(f"there is no transfer {which}; /files lists them")
        else:
            wanted = which.lower()
            found = [one for one in found if _is_id(wanted) and one.id.startswith(wanted)]
        if len(found) > 1:
            listed = ", ".join(f"#{one.number} {one.kept.members.title}" for one in found[:8])
            raise TransferRefused(f"several are meant: {listed}")
        return found[0] if found else None

    # -- what is shown

    def name(self, peer_id: str) -> str:
        """Return what a contact is called."""
        return self._contacts[peer_id].name

    def info(self, record: TransferRecord) -> TransferInfo:
        """Return what is shown of one."""
        members, is_active = record.kept.members, record.state == ACTIVE
        return TransferInfo(
            id=record.id,
            number=record.number,
            peer_id=record.peer_id,
            name=self.name(record.peer_id),
            title=members.title,
            ours=record.kept.is_ours,
            state=record.state,
            count=members.count,
            size=members.size,
            done=record.done,
            rate=record.rate.rate() if is_active else 0.0,
            left=self._left(record) if is_active else None,
            reason=record.reason,
            path=record.path,
        )

    def _left(self, record: TransferRecord) -> float | None:
        size = record.kept.members.size
        return None if size is None else record.rate.seconds_left(max(size - record.done, 0))

    def changed(self, record: TransferRecord, state: str, explanation: str = "") -> None:
        """Tell that a transfer is in a state, which may be one of its ends."""
        self.tell(
            events.TransferChanged(
                *(record.peer_id, self.name(record.peer_id), record.id, record.number),
                *(record.kept.is_ours, record.kept.members.title, state, record.reason),
                *(explanation, record.path, record.skipped, record.again),
            )
        )

    def begin(self, record: TransferRecord) -> None:
        """Note that bytes of it move."""
        record.rate = TransferRate()
        record.rate.note(0, self._clock.seconds())
        if record.state != ACTIVE:
            record.state, record.reason, record.again = ACTIVE, "", 0
            record.is_quiet = False
            self.changed(record, ACTIVE)

    def progress(self, record: TransferRecord, had: int, stored: int) -> None:
        """Note how many bytes the receiver has, and tell it now and then."""
        now = self._clock.seconds()
        record.done = had + stored
        record.rate.note(stored, now)
        if stored:
            record.failures = 0
        if now - record.reported_at >= PROGRESS:
            record.reported_at = now
            rate, left = record.rate.rate(), self._left(record)
            self.tell(
                events.TransferProgress(
                    *(record.peer_id, self.name(record.peer_id), record.id, record.number),
                    *(record.kept.is_ours, record.kept.members.title, record.done),
                    *(record.kept.members.size, round(rate, 1)),
                    None if left is None else round(left, 1),
                )
            )

    def skip(self, record: TransferRecord, path: str, reason: str) -> None:
        """Note that a file isn't sent."""
        record.skipped += 1
        self.tell(
            events.FileSkipped(
                *(record.peer_id, self.name(record.peer_id), record.id, record.number),
                *(record.kept.is_ours, record.kept.members.title, path, reason),
            )
        )

    def stop(self, record: TransferRecord, reason: str, explanation: str = "") -> None:
        """Note that it stops for now; said once, until it goes on."""
        is_news = (record.state, record.reason) != (STOPPED, reason)
        if record.state == ACTIVE:
            record.state = STOPPED
        record.reason = reason
        if record.state == STOPPED and is_news and not record.is_quiet:
            record.is_quiet = True
            self.changed(record, STOPPED, explanation)


def _is_id(text: str) -> bool:
    return len(text) >= SHORTEST_ID and not set(text) - set("0123456789abcdef")
