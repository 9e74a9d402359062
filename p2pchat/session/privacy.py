"""Privacy of a person: what the other side is let know beside what is said; pure."""

from __future__ import annotations

import attrs


@attrs.define
class Privacy:
    """
    The switches; whichever is off neither gives nor takes.

    :ivar receipts: how far what they said was read.
    :ivar typing: that something is being typed.
    """

    receipts: bool = True
    typing: bool = True
