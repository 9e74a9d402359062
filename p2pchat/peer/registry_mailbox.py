"""
Mailboxes at one registry: our own, and those of others.

Our own is asked for in our name, by signed documents.  What is left for others goes by connections
of its own, one for each envelope and closed after it, on which nothing says who we are: the
registry sees a token, an address and a time (docs/threat-model.rst).

Owns reading what the registry says strictly.  Whose prekeys those are that it hands out, and that
they are meant for this registry and still good, is checked by their signature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks
from zope.interface import implementer

from p2pchat.errors import P2PChatError, RegistryError, RemoteProtocolError
from p2pchat.identity.envelopes import deposit_token
from p2pchat.identity.signed_documents import open_document
from p2pchat.interfaces import IMailbox
from p2pchat.peer.registry_client import RegistryClient
from p2pchat.wire.base64url import encode_bytes
from p2pchat.wire.mailbox import (
    DepositAnswer,
    Mail,
    MailboxState,
    MailboxTokens,
    PrekeyAnswer,
    Prekeys,
)
from p2pchat.wire.origins import origin
from p2pchat.wire.strict_json import JsonObject

NO_PREKEY = "no-prekeys"  # the reason where nothing can be sealed for a peer now


@attrs.frozen
class DepositKeys:
    """
    Keys for one envelope.

    :ivar prekey: the X-Wing key of its reader.
    :ivar one_time: a one-time key, b"" where none is left.
    """

    prekey: bytes
    one_time: bytes


@implementer(IMailbox)
@attrs.define(eq=False)
class RegistryMailbox:
    """
    The mailboxes at one registry.

    :ivar nameless: makes a client that has nothing of ours.
    """

    _client: RegistryClient
    nameless: Callable[[], RegistryClient]

    # -- our own

    def publish(self, prekeys: Prekeys) -> Deferred[MailboxState]:
        """See :class:`IMailbox`."""
        return self._read(MailboxState.from_json, self._client.keep_prekeys(prekeys))

    def allow(self, tokens: Sequence[bytes]) -> Deferred[MailboxState]:
        """See :class:`IMailbox`."""
        kept = self._client.keep_tokens(MailboxTokens(tuple(tokens)))
        return self._read(MailboxState.from_json, kept)

    def fetch(self) -> Deferred[Mail]:
        """See :class:`IMailbox`."""
        return self._read(Mail.decode, self._client.mail())

    def acknowledge(self, names: Sequence[bytes]) -> Deferred[MailboxState]:
        """See :class:`IMailbox`."""
        return self._read(MailboxState.from_json, self._client.acknowledge(names))

    def _read(self, read: Callable[[Any], Any], asked: Deferred[Any]) -> Deferred[Any]:
        return asked.addCallback(self._understood, read)

    def _understood(self, answer: Any, read: Callable[[Any], Any]) -> Any:
        try:
            return read(answer)
        except RemoteProtocolError as error:
            raise RegistryError(
                f"what {self._client.server} says of a mailbox can't be used: {error}"
            ) from None

    # -- others'

    @inlineCallbacks
    def deposit(
        self,
        peer_id: str,
        token: bytes,
        seal: Callable[[DepositKeys], bytes],
        replaces: str = "",
    ) -> Any:
        """See :class:`IMailbox`."""
        client = self.nameless()
        shown = deposit_token(token, origin(client.server))
        try:
            members: JsonObject = yield client.prekey(peer_id, shown)
            answer = self._understood(members, PrekeyAnswer.from_json)
            envelope = seal(self._keys(answer, peer_id, client.now()))
            left = yield client.leave(peer_id, answer.permit, envelope, replaces)
            found = self._understood(left, DepositAnswer.from_json)
            return encode_bytes(found.name), client.now() + found.expires_in
        finally:
            client.close()

    def _keys(self, answer: PrekeyAnswer, peer_id: str, now: float) -> DepositKeys:
        """Return the keys in an answer, if they are the peer's, for this registry, and good."""
        try:
            document = open_document(answer.prekeys)
            body = document.body
        except P2PChatError as error:
            raise RegistryError(f"their prekeys can't be used: {error}", reason=NO_PREKEY) from None
        is_meant = document.audience == origin(self._client.server)
        if not isinstance(body, Prekeys) or document.issuer != peer_id or not is_meant:
            raise RegistryError(
                f"the prekeys that {self._client.server} hands out aren't theirs", reason=NO_PREKEY
            )
        if body.ends_at <= now:
            raise RegistryError(
                "their program wasn't there for so long that nothing can be sealed for it",
                reason=NO_PREKEY,
            )
        index = len(body.one_time) if answer.one_time is None else answer.one_time
        return DepositKeys(body.prekey, b"".join(body.one_time[index : index + 1]))
