"""
Our prekeys, from one week to the next.

::

    made ── ROTATION, or dated ahead ──▶ replaced ── KEPT ──▶ deleted
    one-time key: made ── its envelope was taken, or its prekey is deleted ──▶ deleted

Envelopes wait for 14 days: so long a prekey that nobody is shown any more may still open one.  What
is shown is good for LIFETIME, for an owner who isn't there to replace it.  A one-time key is shown
at one registry, in one document: another document has others, so that no registry can give one
out that another has given out already.

Time is wall time, in seconds since 1970, and may be wrong.  What is dated ahead is replaced, and
nothing is deleted before the earliest of the clocks that are asked says so.

Pure: what is to be kept, and what to be forgotten, comes out as :class:`Change`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from struct import error as StructError

import attrs

from p2pchat.errors import ConfigurationError
from p2pchat.identity.prekeys import (
    ID,
    ONE_TIME,
    PREKEY_SEED,
    Prekey,
    key_id,
    public_one_time,
)

DAY = 86_400.0  # seconds
ROTATION = 7 * DAY
KEPT = 14 * DAY  # after another took its place
LIFETIME = 35 * DAY  # of what is shown; the most that a registry takes
AHEAD = 3600.0  # seconds that a date may be ahead of the clock, before that was wrong
BATCH = 50  # one-time keys of a document
MAX_ONE_TIME = 1000  # that are kept; whoever empties the batches brings about no more

PREKEYS, ONE_TIMES = "prekey", "one-time"  # kinds of secrets

_DATES = Struct("!dd")
_SHOWN = -1.0  # for the date of what isn't replaced


@attrs.frozen
class Change:
    """
    A secret that is to be kept, or to be deleted.

    :ivar value: ``None``: deleted.
    """

    kind: str
    name: str
    value: bytes | None = attrs.field(repr=False)


@attrs.define(eq=False)
class _DatedPrekey:
    key: Prekey
    made_at: float
    replaced_at: float | None = None  # it is the one that is shown

    def change(self) -> Change:
        replaced_at = _SHOWN if self.replaced_at is None else self.replaced_at
        value = _DATES.pack(self.made_at, replaced_at) + self.key.seed
        return Change(PREKEYS, self.key.id.hex(), value)


@attrs.define(eq=False)
class PrekeyRing:
    """The private prekeys of one peer."""

    _random_bytes: Callable[[int], bytes]
    _prekeys: dict[bytes, _DatedPrekey] = attrs.Factory(dict)  # by id, the oldest first
    _one_time: dict[bytes, tuple[bytes, bytes]] = attrs.Factory(dict)  # id: prekey's, and seed

    def restore(self, prekeys: Mapping[str, bytes], one_time: Mapping[str, bytes]) -> None:
        """
        Go on from the secrets that were kept, by name.

        :raises ConfigurationError: they can't be understood.
        """
        try:
            found = [(_DATES.unpack_from(one), one[_DATES.size :]) for one in prekeys.values()]
        except StructError:
            raise ConfigurationError("a prekey in the database is damaged") from None
        wrong = [seed for _dates, seed in found if len(seed) != PREKEY_SEED]
        if wrong or any(len(one) != ID + ONE_TIME for one in one_time.values()):
            raise ConfigurationError("a prekey in the database is damaged")
        for (made_at, replaced_at), seed in sorted(found):
            until = None if replaced_at == _SHOWN else replaced_at
            kept = _DatedPrekey(Prekey(seed), made_at, until)
            self._prekeys[kept.key.id] = kept
        for value in one_time.values():
            prekey, seed = value[:ID], value[ID:]
            self._one_time[key_id(public_one_time(seed))] = (prekey, seed)

    # -- what is shown

    def _shown(self) -> _DatedPrekey | None:
        return next((one for one in self._prekeys.values() if one.replaced_at is None), None)

    @property
    def public(self) -> bytes:
        """The public part of the prekey that is shown, b"" before the first turn."""
        shown = self._shown()
        return b"" if shown is None else shown.key.public

    @property
    def ends_at(self) -> float:
        """When what is shown ends."""
        shown = self._shown()
        return 0.0 if shown is None else shown.made_at + LIFETIME

    def turn(self, now: float, surely: float) -> list[Change]:
        """
        Replace the prekey that is shown if it is time, and delete those that nobody needs.

        :param now: by the clock that others go by.
        :param surely: the earliest time that it may be.
        """
        changes, shown = [], self._shown()
        if shown is None or not shown.made_at - AHEAD <= now < shown.made_at + ROTATION:
            if shown is not None:
                shown.replaced_at = now
                changes.append(shown.change())
            made = _DatedPrekey(Prekey(self._random_bytes(PREKEY_SEED)), now)
            self._prekeys[made.key.id] = made
            changes.append(made.change())
        for one in list(self._prekeys.values()):
            if one.replaced_at is None:
                continue
            if one.replaced_at > now + AHEAD:  # by a clock that was wrong
                one.replaced_at = now
                changes.append(one.change())
            elif surely >= one.replaced_at + KEPT:
                changes += self._delete(one.key.id)
        return changes

    def _delete(self, name: bytes) -> list[Change]:
        del self._prekeys[name]
        gone = [one for one, (prekey, _seed) in self._one_time.items() if prekey == name]
        changes = [Change(PREKEYS, name.hex(), None)]
        for one in gone:
            changes += self.used(one)
        return changes

    def new_one_time(self) -> tuple[list[bytes], list[Change]]:
        """Make the one-time keys of a document: their public parts; none where too many wait."""
        shown = self._shown()
        if shown is None or len(self._one_time) + BATCH > MAX_ONE_TIME:
            return [], []
        public, changes = [], []
        for _ in range(BATCH):
            seed = self._random_bytes(ONE_TIME)
            public.append(public_one_time(seed))
            name = key_id(public[-1])
            self._one_time[name] = (shown.key.id, seed)
            changes.append(Change(ONE_TIMES, name.hex(), shown.key.id + seed))
        return public, changes

    # -- what opens envelopes

    def prekey(self, name: bytes) -> Prekey | None:
        """Find a prekey by its id."""
        kept = self._prekeys.get(name)
        return None if kept is None else kept.key

    def one_time(self, name: bytes) -> bytes | None:
        """Find the seed of a one-time key by its id."""
        found = self._one_time.get(name)
        return None if found is None else found[1]

    def used(self, name: bytes) -> list[Change]:
        """Forget a one-time key: what was sealed to it is stored."""
        if self._one_time.pop(name, None) is None:
            return []
        return [Change(ONE_TIMES, name.hex(), None)]
