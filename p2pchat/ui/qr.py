"""
QR codes for a terminal: two rows of modules in one row of half blocks.

Light modules are drawn, dark ones are left out: the colour of the entry says which is which, and
where there are none, most terminals are dark.
"""

from __future__ import annotations

import segno

BORDER = 1  # modules; four are the rule (ISO 18004 section 9.1), and phones do with one
_BLOCKS = {(1, 1): "█", (1, 0): "▀", (0, 1): "▄", (0, 0): " "}


def qr_rows(text: str) -> list[str]:
    """Return the rows of a QR code, all of one length."""
    code = segno.make(text, error="l", micro=False, boost_error=False)
    modules = [[1 - bool(one) for one in row] for row in code.matrix_iter(border=BORDER)]
    if len(modules) % 2:
        modules.append([0] * len(modules[0]))
    return [
        "".join(_BLOCKS[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(modules[::2], modules[1::2], strict=True)
    ]
