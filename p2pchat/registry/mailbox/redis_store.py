"""
A store of mailboxes in Redis, for several processes that act as one registry.

::

    p2pchat:mailbox:{peer}                    hash: prekeys, when they and the tokens were signed,
                                              when they end, one-time keys given out, bytes of mail
    p2pchat:mailbox-tokens:{peer}             hash: by the token's hash, one-time keys it was given
    p2pchat:mailbox-order:{peer}              sorted set: names of envelopes, in the order they came
    p2pchat:mailbox-envelopes:{peer}          hash: of each by its name, token, bytes, and its end
    p2pchat:mailbox-envelope:{peer}:{name}    its octets
    p2pchat:mailbox-used:{peer}               hash: bytes and envelopes of each token

    p2pchat:mailboxes, p2pchat:mailbox-ends   sorted sets: all mailboxes, all envelopes
    p2pchat:mailbox-bytes, -serial, -permits  bytes of all, the last place, the key of permits

Each request is one script, as all that is asked of Redis (:mod:`p2pchat.registry.store.redis`),
and times are those of its steady clock.  Nothing here expires by itself, for what is counted must
be taken out of the counts: every process sweeps.  What was kept lasts as long as Redis does:
whether it outlives a restart is its configuration's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from p2pchat.interfaces import IMailboxStore
from p2pchat.registry.mailbox.outcomes import (
    GivenPrekeys,
    KeptEnvelope,
    LeftEnvelope,
    MailboxCounts,
    MailboxOutcome,
    PublishedPrekeys,
)
from p2pchat.registry.mailbox.permits import KEY
from p2pchat.registry.mailbox.tables import EXPIRED, MAX_GIVEN
from p2pchat.registry.refusals import Refused
from p2pchat.registry.store.redis import LIBRARY, RedisStore
from p2pchat.registry.store.redis_scripts import read_scripts
from p2pchat.runtime import Runtime
from p2pchat.wire.mailbox import (
    FETCH_BYTES,
    KEPT,
    MAILBOX_BYTES,
    MAX_FETCHED,
    TOKEN_BYTES,
    TOKEN_ENVELOPES,
    Mail,
    MailboxState,
    envelope_name,
)

SWEEP = 10.0  # seconds

_TEXT = files("p2pchat.registry.mailbox").joinpath("scripts.lua").read_text("ascii")
_SCRIPTS = read_scripts(LIBRARY + _TEXT)


@implementer(IMailboxStore)
@attrs.define(eq=False)
class RedisMailboxes:
    """
    Mailboxes of all processes that share a store.

    :ivar capacity: bytes of all.
    """

    runtime: Runtime
    _store: RedisStore
    capacity: int
    permit_key: bytes = attrs.field(init=False, default=b"", repr=False)
    _next_sweep: float = attrs.field(init=False, default=0.0)
    _counts: MailboxCounts | None = attrs.field(init=False, default=None)

    def start(self) -> None:
        """Nothing to do: the store connects."""

    def stop(self) -> Deferred[None]:
        """Nothing to do: the store disconnects."""
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def sweep(self) -> None:
        """Delete what has had its time, and learn the key of permits."""
        now = self.runtime.clock.seconds()
        if now >= self._next_sweep and self._store.is_available():
            self._next_sweep = now + SWEEP
            key = self.permit_key or self.runtime.random_bytes(KEY)
            self._ask("SWEEP", EXPIRED, key.hex()).addCallbacks(self._swept, self._failed)

    def _swept(self, found: Sequence[Any]) -> None:
        key, *counts = found
        self.permit_key, self._counts = bytes.fromhex(key), MailboxCounts(*counts)

    def _failed(self, failure: Any) -> None:
        failure.trap(Refused)
        self._counts = None

    def counts(self) -> MailboxCounts | None:
        """Return what was counted at the last sweep."""
        return self._counts

    def _ask(self, script: str, *arguments: object) -> Deferred[Any]:
        return self._store.run(_SCRIPTS[script], *arguments)

    # -- what is asked

    def state(self, peer_id: str) -> Deferred[MailboxState | None]:
        """Return the state of a mailbox."""
        found = self._ask("STATE", peer_id)
        return found.addCallback(lambda state: MailboxState(*state) if state else None)

    def publish(
        self, peer_id: str, prekeys: PublishedPrekeys
    ) -> Deferred[MailboxState | MailboxOutcome]:
        """Take prekeys."""
        said = (prekeys.document, repr(prekeys.issued_at), int(prekeys.lifetime * 1000))
        lasts = (prekeys.one_time, KEPT * 1000, self.capacity)
        return self._ask("PUBLISH", peer_id, *said, *lasts).addCallback(_state)

    def allow(
        self, peer_id: str, tokens: Iterable[bytes], issued_at: float
    ) -> Deferred[MailboxState | MailboxOutcome]:
        """Take the hashes of all tokens."""
        written = [one.hex() for one in tokens]
        allowed = self._ask("ALLOW", peer_id, repr(issued_at), self.capacity, *written)
        return allowed.addCallback(_state)

    def give(self, peer_id: str, token: bytes) -> Deferred[GivenPrekeys | MailboxOutcome]:
        """Give prekeys."""
        return self._ask("GIVE", peer_id, token.hex(), MAX_GIVEN).addCallback(_given)

    def deposit(self, deposit: LeftEnvelope) -> Deferred[KeptEnvelope | MailboxOutcome]:
        """Keep an envelope, and tell the owner's stream."""
        kept = self._ask(
            "DEPOSIT",
            deposit.peer,
            deposit.token.hex(),
            envelope_name(deposit.envelope).hex(),
            deposit.envelope,
            deposit.replaces.hex(),
            KEPT * 1000,
            *(TOKEN_BYTES, TOKEN_ENVELOPES, MAILBOX_BYTES, self.capacity),
        )
        return kept.addCallback(_kept)

    def fetch(self, peer_id: str) -> Deferred[Mail | MailboxOutcome]:
        """Return what waits longest."""
        return self._ask("FETCH", peer_id, MAX_FETCHED, FETCH_BYTES).addCallback(_mail)

    def acknowledge(
        self, peer_id: str, names: Iterable[bytes]
    ) -> Deferred[MailboxState | MailboxOutcome]:
        """Delete envelopes."""
        written = [one.hex() for one in names]
        return self._ask("ACKNOWLEDGE", peer_id, *written).addCallback(_state)


def _state(found: str | list[int]) -> MailboxState | MailboxOutcome:
    return MailboxOutcome(found) if isinstance(found, str) else MailboxState(*found)


def _given(found: str | list[Any]) -> GivenPrekeys | MailboxOutcome:
    if isinstance(found, str):
        return MailboxOutcome(found)
    document, place = found
    return GivenPrekeys(document, place if place >= 0 else None)


def _kept(found: str | list[Any]) -> KeptEnvelope | MailboxOutcome:
    if isinstance(found, str):
        return MailboxOutcome(found)
    left, has = found
    return KeptEnvelope(left / 1000, MailboxState(*has))


def _mail(found: str | list[Any]) -> Mail | MailboxOutcome:
    if isinstance(found, str):
        return MailboxOutcome(found)
    has, *envelopes = found
    return Mail(MailboxState(*has), tuple([_octets(one) for one in envelopes]))


def _octets(reply: str | bytes) -> bytes:
    """Return the octets of a reply, which the library reads as text where it is UTF-8."""
    return reply.encode("utf-8") if isinstance(reply, str) else reply
