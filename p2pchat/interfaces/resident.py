"""The seams of a resident node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from zope.interface import Interface

if TYPE_CHECKING:
    from p2pchat.wire.strict_json import JsonObject


class IAttachedPart(Interface):
    """One of the things that an attached program wants, as the node does it for the program."""

    def requests() -> Mapping[str, Callable[[JsonObject], None]]:
        """
        Return what does a request, by what it is named ``do``.

        What it raises of :mod:`p2pchat.errors` is the answer.
        """

    def take(line: bytes) -> bool:
        """Take a line that is no such request; tells whether it was for this part."""

    def end() -> None:
        """The program has gone: end what was done for it."""
