"""
Look-up of many peers at once: who is online at whichever of the registries where each may be.

::

    peers, each with its places ─▶ the next place of each ─▶ one question a place ─▶ online: known
                                          ▲                                              │ others
                                          └──────────────────────────────────────────────┘

A place is asked about all peers for which it is next, and about nobody else.  Of a peer that is
online nowhere, while one of its places couldn't be asked, nothing is said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks

from p2pchat.errors import RegistryError

_Place = TypeVar("_Place", bound=Hashable)


@inlineCallbacks
def look_up_many(
    places: Mapping[str, Sequence[_Place]],
    ask: Callable[[_Place, Sequence[str]], Deferred[Mapping[str, bool]]],
) -> Any:
    """
    Return a Deferred of whether peers are online, by id.

    :param places: where each may be, the best place first.
    :param ask: asks a place about several; may fail with RegistryError.
    """
    known: dict[str, bool] = {}
    doubtful: set[str] = set()
    for turn in range(max(map(len, places.values()), default=0)):
        asked: dict[_Place, list[str]] = defaultdict(list)
        for peer_id, theirs in places.items():
            if turn < len(theirs) and not known.get(peer_id):
                asked[theirs[turn]].append(peer_id)
        answers = yield DeferredList([_asked(ask, *one) for one in asked.items()])
        for (_, answer), peer_ids in zip(answers, asked.values(), strict=True):
            doubtful.update(set(peer_ids) - set(answer))
            known |= {one: bool(answer[one]) for one in peer_ids if one in answer}
    return {one: online for one, online in known.items() if online or one not in doubtful}


@inlineCallbacks
def _asked(
    ask: Callable[[_Place, Sequence[str]], Deferred[Mapping[str, bool]]],
    place: _Place,
    peer_ids: Sequence[str],
) -> Any:
    """Return a Deferred of the answer of a place; nothing where there is none."""
    try:
        return (yield ask(place, peer_ids))
    except RegistryError:
        return {}
