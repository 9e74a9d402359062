"""
Mailboxes at the registry: who may ask for what, and how often.

::

    publish, allow, fetch, acknowledge    of the owner, who is registered
    give                                  of anybody who shows a token: prekeys, and a permit
    deposit                               of anybody who shows that permit

Whoever shows a token that isn't good is told the same, whether there is no such mailbox, no such
token or not any more, and spends one of the few that its address has for that.  A permit says who
may upload as much as an envelope has (:mod:`p2pchat.registry.mailbox.uploads`); by one token so
many bytes come in a time, however often it replaces them.  A mailbox that is new takes room for
weeks: so one address makes few of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Protocol, TypeVar, cast

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks

from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.keys import check_peer_id
from p2pchat.interfaces import IMailboxStore, IRegistryStore
from p2pchat.registry.admission.rates import Rate, Rates, TokenBuckets, source_of
from p2pchat.registry.mailbox.outcomes import (
    GivenPrekeys,
    KeptEnvelope,
    LeftEnvelope,
    MailboxOutcome,
    PublishedPrekeys,
    unavailable,
)
from p2pchat.registry.mailbox.permits import Permits
from p2pchat.registry.mailbox.uploads import (
    MAX_FETCHES,
    MAX_FETCHES_OF_MAILBOX,
    Upload,
    Uploads,
)
from p2pchat.registry.metrics import Metrics
from p2pchat.registry.refusals import Refused, refused
from p2pchat.runtime import Runtime
from p2pchat.wire.base64url import decode_bytes
from p2pchat.wire.documents import Body, Document
from p2pchat.wire.mailbox import (
    KEPT,
    MAILBOX_BYTES,
    MAX_ENVELOPE,
    MAX_PREKEYS_LIFETIME,
    MIN_ENVELOPE,
    PERMIT_SCHEME,
    TOKEN_BYTES,
    TOKEN_ENVELOPES,
    DepositAnswer,
    MailAcknowledgement,
    MailboxState,
    MailboxTokens,
    MailFetch,
    PrekeyAnswer,
    Prekeys,
    envelope_name,
    parse_token,
    token_hash,
)
from p2pchat.wire.strict_json import JsonObject

NEW = Rate(1 / 60, 256)  # mailboxes that one address makes; each takes some 6 kB for weeks
RETRY_AFTER = 600  # seconds, where there is no room: some of what waits will be fetched meanwhile
BUSY = 5  # seconds, for who has too many uploads

UNKNOWN = refused(
    404,
    "unknown-mailbox",
    "there is no such mailbox, or what you show isn't good there, or isn't any more",
)
NO_MAILBOX = refused(404, "no-mailbox", "you have no mailbox here: send your prekeys first")
NO_PERMIT = refused(
    401, "permit-expired", "that permit isn't good, or not any more: ask for prekeys again"
)
TOO_MANY_UPLOADS = refused(
    503, "too-many-uploads", "too many envelopes are on their way here: try again soon", BUSY
)
TOO_MANY_FETCHES = refused(
    503, "too-many-fetches", "too much mail is on its way to owners: try again soon", BUSY
)
TOO_MUCH = refused(413, "body-too-large", f"an envelope has at most {MAX_ENVELOPE} bytes")
_REFUSALS = {
    MailboxOutcome.UNKNOWN: UNKNOWN,
    MailboxOutcome.NO_PREKEYS: refused(
        409, "no-prekeys", "the owner's prekeys have ended: nothing can be sealed to them"
    ),
    MailboxOutcome.SUPERSEDED: refused(
        409, "superseded", "the registry has a document of this kind that you signed later"
    ),
    MailboxOutcome.TOKEN_FULL: refused(
        409,
        "token-full",
        f"{TOKEN_ENVELOPES} envelopes and {TOKEN_BYTES} bytes of yours may wait in this mailbox: "
        "no more until its owner has fetched them",
    ),
    MailboxOutcome.MAILBOX_FULL: refused(
        409,
        "mailbox-full",
        f"{MAILBOX_BYTES} bytes may wait in a mailbox: no more until its owner has fetched them",
    ),
    MailboxOutcome.FULL: refused(
        503, "mailboxes-full", "this registry has no room for more mail: try again", RETRY_AFTER
    ),
}

ReadDocument = Callable[[str, type[Body], frozenset[str], str], Document]
_T = TypeVar("_T")
_Steps = Generator[Deferred[Any], Any, _T]


class Fetching(Protocol):
    """
    A request for mail, as far as it is known here.

    :ivar ip: where it came from.
    :ivar fetch: what is to be ended in :attr:`Mailboxes.fetches`.
    """

    ip: str
    fetch: Upload | None


def _checked(found: _T | MailboxOutcome) -> _T:
    if isinstance(found, MailboxOutcome):
        raise _REFUSALS[found]
    return found


def _owned(found: _T | MailboxOutcome) -> _T:
    if found is MailboxOutcome.UNKNOWN:
        raise NO_MAILBOX
    return _checked(found)


@attrs.define(eq=False)
class Mailboxes:
    """
    The mailboxes of one process.

    :ivar store: what is kept of them.
    :ivar uploads: envelopes that are on their way here.
    :ivar fetches: those that are on their way to their owners.
    """

    runtime: Runtime
    store: IMailboxStore
    _registry: IRegistryStore
    _metrics: Metrics
    _read: ReadDocument
    _count_key: Callable[[str], None]
    rates: Rates
    uploads: Uploads = attrs.field(init=False, factory=Uploads)
    fetches: Uploads = attrs.field(
        init=False, factory=lambda: Uploads(MAX_FETCHES, MAX_FETCHES_OF_MAILBOX)
    )
    _guesses: TokenBuckets = attrs.field(init=False)
    _bytes: TokenBuckets = attrs.field(init=False)
    _new: TokenBuckets = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._guesses = TokenBuckets(self.rates.mailboxes)
        self._bytes = TokenBuckets(self.rates.deposits)
        self._new = TokenBuckets(NEW)
        gauge, counts = self._metrics.gauge, self.store.counts
        gauge("mailboxes", "Mailboxes in the store.", lambda: _of(counts(), "mailboxes"))
        gauge("envelopes", "Envelopes that wait.", lambda: _of(counts(), "envelopes"))
        gauge("mailbox_bytes", "Bytes of the store of mailboxes.", lambda: _of(counts(), "bytes"))
        gauge("uploads", "Envelopes on their way here.", lambda: len(self.uploads))

    # -- of the owner

    @inlineCallbacks
    def publish(
        self, token: str, audiences: frozenset[str], peer_id: str, ip: str
    ) -> _Steps[JsonObject]:
        """Take prekeys; whoever has no mailbox yet has one then."""
        document = self._read(token, Prekeys, audiences, peer_id)
        body = cast(Prekeys, document.body)
        if not 0 < body.ends_at - document.issued_at <= MAX_PREKEYS_LIFETIME:
            raise RemoteProtocolError(f"prekeys last {MAX_PREKEYS_LIFETIME} seconds at most")
        lifetime = body.ends_at - self._registry.wall_time()
        published = PublishedPrekeys(token, len(body.one_time), document.issued_at, lifetime)
        yield self._accept(document)
        if (yield self.store.state(peer_id)) is None:
            _refuse(self._new.take(ip, self._now()))
        return self._answer_owner((yield self.store.publish(peer_id, published)), "published")

    @inlineCallbacks
    def allow(self, token: str, audiences: frozenset[str], peer_id: str) -> _Steps[JsonObject]:
        """Take the hashes of all tokens that are good."""
        document = self._read(token, MailboxTokens, audiences, peer_id)
        tokens = cast(MailboxTokens, document.body).tokens
        yield self._accept(document)
        allowed = yield self.store.allow(peer_id, tokens, document.issued_at)
        return self._answer_owner(allowed, "allowed")

    @inlineCallbacks
    def fetch(
        self, token: str, audiences: frozenset[str], peer_id: str, request: Fetching
    ) -> _Steps[bytes]:
        """Return what waits longest; the request holds its room until that was taken."""
        yield self._accept(self._read(token, MailFetch, audiences, peer_id))
        fetch = Upload(peer_id, b"", source_of(request.ip))
        if not self.fetches.begin(fetch):
            raise TOO_MANY_FETCHES
        request.fetch = fetch
        mail = _owned((yield self.store.fetch(peer_id)))
        self._metrics.mail("fetched", len(mail.envelopes))
        written: bytes = mail.encode()
        return written

    @inlineCallbacks
    def acknowledge(
        self, token: str, audiences: frozenset[str], peer_id: str
    ) -> _Steps[JsonObject]:
        """Delete what the owner has stored."""
        document = self._read(token, MailAcknowledgement, audiences, peer_id)
        names = cast(MailAcknowledgement, document.body).names
        yield self._accept(document)
        left = yield self.store.acknowledge(peer_id, names)
        return self._answer_owner(left, "acknowledged")

    def _accept(self, document: Document) -> Deferred[None]:
        """Take an owner's document; what can't be done with it then may come in another one."""
        return self._registry.accept(document).addCallback(self._accepted, document.issuer)

    def _accepted(self, is_registered: bool, peer_id: str) -> None:
        if not is_registered:
            raise refused(403, "not-registered", "register first, then ask for your mailbox")
        self._count_key(peer_id)

    def _answer_owner(self, found: MailboxState | MailboxOutcome, word: str) -> JsonObject:
        state = _owned(found)
        self._metrics.mail(word)
        return state.to_json()

    def tell(self, answer: JsonObject, peer_id: str) -> Deferred[JsonObject]:
        """Add what a peer's mailbox has to the answer to its registration, if anybody can tell."""
        found = self.store.state(peer_id)
        return found.addCallbacks(
            lambda state: {**answer, "mailbox": None if state is None else state.to_json()},
            lambda failure: answer if failure.trap(Refused) else {},
        )

    # -- of a depositor

    def give(self, text: str, peer_id: str, ip: str) -> Deferred[JsonObject]:
        """
        Give prekeys and a permit.

        :param text: the token, in base64url.
        """
        _refuse(self._guesses.wait(ip, self._now()))
        hash_ = token_hash(parse_token(text))
        given = self.store.give(peer_id, hash_)
        return given.addCallback(self._given, peer_id, hash_, ip)

    def _given(
        self, found: GivenPrekeys | MailboxOutcome, peer_id: str, hash_: bytes, ip: str
    ) -> JsonObject:
        if found is MailboxOutcome.UNKNOWN:
            self._guesses.take(ip, self._now())
        given, permits = _checked(found), self._permits()
        self._metrics.mail("given" if given.one_time is not None else "given-last")
        permit = permits.issue(peer_id, hash_, self._registry.wall_time())
        return PrekeyAnswer(given.document, permit, given.one_time).to_json()

    def _permits(self) -> Permits:
        if not self.store.permit_key:
            raise unavailable()
        return Permits(self.store.permit_key)

    def begin_upload(
        self, path: bytes, authorization: bytes, length: int | None, ip: str
    ) -> Upload:
        """
        Let an envelope come, by the head of its request.

        :raises RemoteProtocolError: what it shows can't be read.
        :raises Refused: it shows no permit, or there is no room for it now.
        """
        peer_id = check_peer_id(path.rpartition(b"/")[2].decode("latin-1"))
        scheme, _, text = authorization.decode("latin-1").partition(" ")
        if scheme.lower() != PERMIT_SCHEME.lower():
            raise NO_PERMIT
        permit = decode_bytes(text.strip()[:200])
        token = self._permits().check(peer_id, permit, self._registry.wall_time())
        if token is None:
            raise NO_PERMIT
        if length is not None and length > MAX_ENVELOPE:
            raise TOO_MUCH
        upload = Upload(peer_id, token, source_of(ip))
        if not self.uploads.begin(upload):
            raise TOO_MANY_UPLOADS
        return upload

    def deposit(self, upload: Upload, envelope: bytes, replaces: bytes) -> Deferred[JsonObject]:
        """Keep an envelope."""
        if not MIN_ENVELOPE <= len(envelope) <= MAX_ENVELOPE:
            raise RemoteProtocolError(f"an envelope has {MIN_ENVELOPE} to {MAX_ENVELOPE} bytes")
        whose = f"{upload.peer} {upload.token.hex()}"
        _refuse(self._bytes.take(whose, self._now(), len(envelope)))
        kept = self.store.deposit(LeftEnvelope(upload.peer, upload.token, envelope, replaces))
        return kept.addCallback(self._kept, envelope)

    def _kept(self, found: KeptEnvelope | MailboxOutcome, envelope: bytes) -> JsonObject:
        expires_in = min(int(_checked(found).expires_in), KEPT)
        self._metrics.mail("kept")
        return DepositAnswer(envelope_name(envelope), expires_in).to_json()

    def _now(self) -> float:
        return self.runtime.clock.seconds()


def _of(counts: object, name: str) -> float:
    return float(getattr(counts, name, "nan"))


def _refuse(wait: float) -> None:
    if wait > 0:
        detail = "too much for the mailboxes here, from your address or by your token: slow down"
        raise refused(429, "too-many-requests", detail, int(wait) + 1)
