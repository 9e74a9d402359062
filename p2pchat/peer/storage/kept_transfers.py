"""
Transfers of files as they are kept, so that they go on after the program has ended; values.

Of what we send, the files are kept as they were when they were offered: one that isn't the same
any more isn't sent.  Of what we receive, each file's pieces that are on the disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import attrs

from p2pchat.session.pieces import Pieces
from p2pchat.wire.members import Count, Flag, Members, each, integer, nested, octets, text
from p2pchat.wire.transfers import MAX_FILES, NAME

_PATH = text(4096)  # characters; Linux has no longer path


@attrs.frozen
class SourceFile(Members):
    """
    A file of ours that is offered, as it was when it was.

    :ivar path: on the wire.
    :ivar place: below the folder that is sent; "" for a file by itself.
    :ivar modified: nanoseconds since 1970.
    """

    path: Annotated[str, _PATH]
    place: Annotated[str, _PATH]
    size: Count
    modified: Annotated[int, integer(2**63)]
    inode: Annotated[int, integer(2**64)]


@attrs.frozen
class TransferMembers(Members):
    """
    The facts of a transfer that stay, but for the place of what we receive.

    :ivar name: on the wire.
    :ivar root: of what we send, its path; of what we receive, the folder for downloads.
    :ivar place: of what we receive, the name of its own folder there, once it has one.
    :ivar size: bytes of all; ``None``: not known.
    :ivar sources: of what we send.
    """

    name: Annotated[bytes, octets(NAME)]
    title: Annotated[str, _PATH]
    folder: Flag
    count: Annotated[int, integer(MAX_FILES, 1)]
    most: Count
    root: Annotated[str, _PATH]
    size: Annotated[int | None, integer()] = None
    place: Annotated[str, _PATH] = ""
    sources: Annotated[tuple[SourceFile, ...], each(nested(SourceFile), MAX_FILES)] = ()


@attrs.frozen
class KeptFile:
    """
    A file that we receive.

    :ivar pieces: those that are on the disk, from the first one on.
    :ivar root: of their hashes.
    :ivar is_done: whether it is whole, and has its name.
    """

    pieces: int
    root: bytes
    is_done: bool = False


NOTHING = KeptFile(0, Pieces().root())


@attrs.frozen
class KeptTransfer:
    """
    One transfer.

    :ivar is_cancelled: whether it has ended for good, and only the other side doesn't know yet.
    :ivar files: of what we receive, those of which there is anything, by number.
    """

    peer_id: str
    is_ours: bool
    members: TransferMembers
    is_cancelled: bool = False
    files: Mapping[int, KeptFile] = attrs.field(factory=dict, eq=False)

    @property
    def key(self) -> tuple[str, bytes, bool]:
        """What it is told from others by."""
        return self.peer_id, self.members.name, self.is_ours
