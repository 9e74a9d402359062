"""Privacy of a person: what others are let know beside what is said; pure."""

from __future__ import annotations

import attrs


@attrs.define
class Privacy:
    """
    The switches; whichever is private neither gives nor takes.

    :ivar receipts: whether contacts are told how far what they said was read.
    :ivar typing: whether they are told that something is being typed.
    :ivar is_invisible: whether no registry shows us to anybody.
    """

    receipts: bool = True
    typing: bool = True
    is_invisible: bool = False
