"""Mailboxes at one registry, in the test's memory; the registry may lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from p2pchat.errors import RegistryError
from p2pchat.identity.envelopes import deposit_token
from p2pchat.interfaces import IMailbox
from p2pchat.peer.registry_mailbox import DepositKeys
from p2pchat.wire.base64url import encode_bytes
from p2pchat.wire.mailbox import (
    TOKEN_BYTES,
    Mail,
    MailboxState,
    Prekeys,
    envelope_name,
    token_hash,
)
from p2pchat.wire.origins import origin

KEPT = 14 * 86_400.0  # seconds
FETCHED = 4  # envelopes of one answer


@attrs.define(eq=False)
class Box:
    """
    One mailbox.

    :ivar envelopes: what waits, oldest first, with the hash of its token, and when it ends.
    :ivar given: one-time keys that were handed out.
    """

    prekeys: Prekeys | None = None
    tokens: set[bytes] = attrs.Factory(set)
    envelopes: dict[bytes, tuple[bytes, bytes, float]] = attrs.Factory(dict)
    given: int = 0
    acknowledged: list[bytes] = attrs.Factory(list)

    @property
    def state(self) -> MailboxState:
        """What the owner is told."""
        one_time = len(self.prekeys.one_time) - self.given if self.prekeys else 0
        return MailboxState(len(self.envelopes), one_time, len(self.tokens))


@attrs.define(eq=False)
class FakeMailboxes:
    """
    The mailboxes of one registry.

    :ivar now: seconds since 1970.
    :ivar error: with which all fails, if there is one.
    :ivar seen: every envelope that was left, in order.
    :ivar gives_same: the same one-time key is handed out again and again.
    :ivar most: bytes of a token.
    """

    server: str
    now: Callable[[], float]
    boxes: dict[str, Box] = attrs.Factory(dict)
    error: RegistryError | None = None
    seen: list[bytes] = attrs.Factory(list)
    deposits: int = 0
    fetches: int = 0
    gives_same: bool = False
    most: int = TOKEN_BYTES

    def of(self, peer_id: str) -> FakeMailbox:
        """Return the mailboxes as somebody uses them."""
        return FakeMailbox(self, peer_id)

    def box(self, peer_id: str) -> Box:
        """Return somebody's mailbox."""
        return self.boxes.setdefault(peer_id, Box())


@implementer(IMailbox)
@attrs.define(eq=False)
class FakeMailbox:
    """The same, for one identity."""

    _all: FakeMailboxes
    _peer_id: str

    def _do(self, work: Callable[[], Any]) -> Deferred[Any]:
        if self._all.error is not None:
            return fail(self._all.error)
        try:
            return succeed(work())
        except RegistryError as error:
            return fail(error)

    @property
    def _box(self) -> Box:
        return self._all.box(self._peer_id)

    def publish(self, prekeys: Prekeys) -> Deferred[MailboxState]:
        """See `IMailbox`."""

        def work() -> MailboxState:
            self._box.prekeys, self._box.given = prekeys, 0
            return self._box.state

        return self._do(work)

    def allow(self, tokens: Sequence[bytes]) -> Deferred[MailboxState]:
        """See `IMailbox`."""

        def work() -> MailboxState:
            if self._box.prekeys is None:
                raise RegistryError("none of yours", 404, "no-mailbox")
            self._box.tokens = set(tokens)
            kept = self._box.envelopes.items()
            self._box.envelopes = {name: one for name, one in kept if one[1] in self._box.tokens}
            return self._box.state

        return self._do(work)

    def fetch(self) -> Deferred[Mail]:
        """See `IMailbox`."""

        def work() -> Mail:
            self._all.fetches += 1
            now = self._all.now()
            envelopes = [one for one, _, until in self._box.envelopes.values() if until > now]
            return Mail(self._box.state, tuple(envelopes[:FETCHED]))

        return self._do(work)

    def acknowledge(self, names: Sequence[bytes]) -> Deferred[MailboxState]:
        """See `IMailbox`."""

        def work() -> MailboxState:
            self._box.acknowledged += names
            for name in names:
                self._box.envelopes.pop(name, None)
            return self._box.state

        return self._do(work)

    def deposit(
        self,
        peer_id: str,
        token: bytes,
        seal: Callable[[DepositKeys], bytes],
        replaces: str = "",
    ) -> Deferred[tuple[str, float]]:
        """See `IMailbox`."""

        def work() -> tuple[str, float]:
            box, known = self._all.box(peer_id), self._all
            shown = token_hash(deposit_token(token, origin(known.server)))
            if shown not in box.tokens:
                raise RegistryError("no such mailbox, or no such token", 404, "unknown-mailbox")
            if box.prekeys is None or box.prekeys.ends_at <= known.now():
                raise RegistryError("nothing can be sealed for them", 409, "no-prekeys")
            keys = box.prekeys.one_time[box.given : box.given + 1]
            box.given += not known.gives_same and bool(keys)
            envelope = seal(DepositKeys(box.prekeys.prekey, b"".join(keys)))
            for name in [one for one in box.envelopes if encode_bytes(one) == replaces]:
                del box.envelopes[name]
            used = sum(len(one) for one, by, _ in box.envelopes.values() if by == shown)
            if used + len(envelope) > known.most:
                raise RegistryError(f"{used} of {known.most} bytes are taken", 409, "token-full")
            known.deposits += 1
            known.seen.append(envelope)
            name, until = envelope_name(envelope), known.now() + KEPT
            box.envelopes[name] = (envelope, shown, until)
            return encode_bytes(name), until

        return self._do(work)
