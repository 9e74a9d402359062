"""
Presence: one question to a registry about many peers, and its answer.

::

    POST /presence   {"peers": [ID, ...]}   ──▶   {"online": [ID, ...]}

Those of the answer have a live record and an event stream, listed or not; of all others it says
nothing: they may be away, unknown, or not want to be seen (``visible``).
"""

from __future__ import annotations

from typing import Annotated

import attrs

from p2pchat.wire.members import Members, each, text

MAX_ASKED = 200  # ids: 8 kB of a body's 16; whoever has more contacts asks more than once
PRESENCE = "presence"  # the feature of a registry that answers this, and hides who asks for it
_ID = text(36)

Ids = Annotated[tuple[str, ...], each(_ID, MAX_ASKED)]


@attrs.frozen
class PresenceQuery(Members):
    """A question about peers; whose ids these are is checked by whoever answers."""

    peers: Ids


@attrs.frozen
class PresenceAnswer(Members):
    """Those of them that can be reached through the registry now."""

    online: Ids
