"""
Exchange of registries on a link: where each side is found from now on, and by which key.

::

    REGISTRIES  a signed list (p2pchat.identity.registry_lists), for the other side alone

It is said as :mod:`p2pchat.session.announcement` has it, to contacts.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from p2pchat.session.announcement import Announcement
from p2pchat.wire.messages import LISTS, Registries


@attrs.define(eq=False)
class RegistryExchange(Announcement[Registries]):
    """The exchange with one peer."""

    feature: ClassVar[str] = LISTS
