"""
The registry's routes, as a peer calls them (docs/protocol.rst lists them).

Owns signing for the registry, reading its answers strictly, and turning every failure, unforeseen
ones included, into :class:`p2pchat.errors.RegistryError` with a sentence for the person.  The
``Date`` of an answer tells how far our clock is from the registry's, by which documents are dated
(:mod:`p2pchat.peer.wall_clock`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.logger import Logger
from twisted.web.http_headers import Headers

from p2pchat.errors import RegistryError, RemoteProtocolError
from p2pchat.identity.keys import Identity
from p2pchat.identity.signed_documents import seal_document, sign_document
from p2pchat.peer.event_stream import Event, EventStream
from p2pchat.peer.failures import one_line
from p2pchat.peer.foreign_answers import foreign_answer
from p2pchat.peer.http_client import HttpAnswer, HttpClient, NeverSent
from p2pchat.peer.registry_location import RegistryLocation
from p2pchat.peer.wall_clock import WallClock
from p2pchat.runtime import Runtime
from p2pchat.traversal.round_trips import RoundTrips
from p2pchat.wire.addresses import Scope
from p2pchat.wire.documents import (
    VERSION,
    Body,
    PeerDocument,
    RecordKey,
    Registration,
    Removal,
    Subscription,
)
from p2pchat.wire.mailbox import (
    ENVELOPE_TYPE,
    PERMIT_SCHEME,
    TOKEN_SCHEME,
    MailAcknowledgement,
    MailboxTokens,
    MailFetch,
    Prekeys,
    credentials,
)
from p2pchat.wire.nameplates import Claim, Completion, PakeResponse, Release
from p2pchat.wire.origins import origin
from p2pchat.wire.presence import PresenceQuery
from p2pchat.wire.problems import Problem, http_date, read_retry_after
from p2pchat.wire.strict_json import JsonObject, dumps, loads
from p2pchat.wire.work import Challenge

INCOMPATIBLE_WAIT = 300.0  # seconds; nobody updates a program in less

_NOTHING, _ANYTHING = "no content", "any content"  # in place of a member that an answer has

_REASON = re.compile(r"[a-z][a-z0-9-]{0,63}")  # a word of a problem document

_log = Logger()


class WorkRequired(RegistryError):
    """
    The registry asks strangers to work before they register.

    Whoever works needn't wait, so its ``retry_after`` is None.

    :ivar challenge: what is asked.
    :ivar idle_wait: seconds after which whoever doesn't work may ask again.
    """

    def __init__(
        self, detail: str, status: int, challenge: Challenge, idle_wait: float | None
    ) -> None:
        super().__init__(detail, status, "work-required")
        self.challenge = challenge
        self.idle_wait = idle_wait


@attrs.define(eq=False)
class RegistryClient:
    """
    Talks to one registry for one identity.

    :ivar server: the registry's URL.
    :ivar warn: takes a sentence for the person, each kind once.
    :ivar nearest: how near the registry may be.
    """

    server: str
    _identity: Identity
    _runtime: Runtime
    warn: Callable[[str], None] = lambda _sentence: None
    nearest: Scope = Scope.LOOPBACK
    _location: RegistryLocation = attrs.field(init=False)
    _http: HttpClient = attrs.field(init=False)
    _audience: str = attrs.field(init=False)
    _clock: WallClock = attrs.field(init=False)
    _unexpected: str = ""  # the last unforeseen error, logged already

    def __attrs_post_init__(self) -> None:
        self._audience = origin(self.server)
        self._clock = WallClock(self._runtime.wall_time, self._runtime.clock.seconds, self._warn)
        self._location = RegistryLocation(self.server, self._warn, self.nearest)
        self._http = HttpClient(self.server, self._runtime, self._location)

    # -- documents

    @property
    def peer_id(self) -> str:
        """The id of the identity that signs."""
        return self._identity.peer_id

    @property
    def scope(self) -> Scope:
        """How near the registry is: it may name servers that are as near, and none nearer."""
        return self._location.scope

    @property
    def rtt(self) -> float:
        """The smoothed round-trip time to the registry in seconds, 0 while unknown."""
        return self.trips.smoothed

    @property
    def trips(self) -> RoundTrips:
        """The round trips to the registry."""
        return self._http.times.trips

    def now(self) -> float:
        """Return seconds since 1970 by the clock that the registry goes by."""
        return self._clock.now()

    def sign(self, body: Body) -> str:
        """Sign a document of ours for the registry, dated now."""
        name = self._runtime.random_name()
        return sign_document(self._identity, self._audience, body, self.now(), name)

    def seal(self, peer_id: str, body: PeerDocument, key: RecordKey) -> str:
        """
        Seal a document of ours to a peer and sign it, dated now.

        :raises RegistryError: the key is one of the few that make no secret.
        """
        name = self._runtime.random_name()
        try:
            return seal_document(self._identity, peer_id, body, key, now=self.now(), nonce=name)
        except RemoteProtocolError as error:
            raise RegistryError(f"their sealing key: {error}", reason="no-sealing-key") from None

    # -- routes

    def register(self, registration: Registration) -> Deferred[JsonObject]:
        """
        Make or renew our record; the answer has ``lease``, ``stun`` and perhaps ``turn``.

        It fails with :class:`WorkRequired` where the registry wants work in it first.
        """
        return self._signed("POST", "/register", lambda: self.sign(registration), "lease")

    def renew(self, renewal: str) -> Deferred[JsonObject]:
        """Prolong our record with the ``renewal`` that the registration's answer had."""
        path = f"/renew/{self.peer_id}"
        headers = {"Authorization": f"Lease {renewal}"}
        return self._attempt(self._exchange, "POST", path, _NOTHING, headers)

    def deliver(self, peer_id: str, body: PeerDocument, key: RecordKey) -> Deferred[JsonObject]:
        """Put a document, sealed to the peer's key, on its event stream."""
        path = f"/deliver/{peer_id}"
        return self._signed("POST", path, lambda: self.seal(peer_id, body, key), "delivered")

    def remove(self) -> Deferred[JsonObject]:
        """Delete our record."""
        path = f"/peer/{self.peer_id}"
        return self._signed("DELETE", path, lambda: self.sign(Removal()), "removed")

    def peers(self, **query: str) -> Deferred[JsonObject]:
        """Return one page of records; ``query`` may have after, limit and username."""
        path = "/peers?" + urlencode(query) if query else "/peers"
        return self._attempt(self._exchange, "GET", path, "peers")

    def peer(self, peer_id: str) -> Deferred[JsonObject]:
        """Return one record."""
        return self._attempt(self._exchange, "GET", f"/peer/{quote(peer_id)}", "peer_id")

    def presence(self, query: PresenceQuery) -> Deferred[JsonObject]:
        """Return who of some is online."""
        kind, data = {"Content-Type": "application/json"}, dumps(query.to_json())
        return self._attempt(self._exchange, "POST", "/presence", "online", kind, data)

    # -- nameplates

    def claim(self, claim: Claim) -> Deferred[JsonObject]:
        """Claim a nameplate."""
        path = f"/claim/{claim.nameplate}"
        return self._signed("POST", path, lambda: self.sign(claim), "claimed")

    def nameplate(self, name: str) -> Deferred[JsonObject]:
        """Return what stands at a nameplate."""
        return self._attempt(self._exchange, "GET", f"/nameplate/{name}", "message")

    def respond(self, name: str, response: PakeResponse) -> Deferred[JsonObject]:
        """Leave a try at another's nameplate; the registry needn't know us."""
        kind, data = {"Content-Type": "application/json"}, dumps(response.to_json())
        path = f"/respond/{name}"
        return self._attempt(self._exchange, "POST", path, "responded", kind, data)

    def complete(self, completion: Completion) -> Deferred[JsonObject]:
        """Answer a try at a nameplate of ours."""
        path = f"/complete/{completion.nameplate}"
        return self._signed("POST", path, lambda: self.sign(completion), "completed")

    def release(self, release: Release) -> Deferred[JsonObject]:
        """Take a nameplate of ours away."""
        path = f"/nameplate/{release.nameplate}"
        return self._signed("DELETE", path, lambda: self.sign(release), "released")

    # -- mailboxes

    def keep_prekeys(self, prekeys: Prekeys) -> Deferred[JsonObject]:
        """Show our prekeys to whoever may leave something for us."""
        path = f"/prekeys/{self.peer_id}"
        return self._signed("POST", path, lambda: self.sign(prekeys), "waiting")

    def keep_tokens(self, tokens: MailboxTokens) -> Deferred[JsonObject]:
        """Say who may; whose token isn't there may no more."""
        path = f"/mailbox/{self.peer_id}"
        return self._signed("POST", path, lambda: self.sign(tokens), "waiting")

    def mail(self) -> Deferred[bytes]:
        """Return what waits longest in our mailbox, as :class:`Mail` reads it."""
        return self._attempt(self._fetch_mail)

    def _fetch_mail(self) -> Deferred[bytes]:
        headers = {"Authorization": f"JWS {self.sign(MailFetch())}"}
        fetched: Deferred[bytes] = self._octets("GET", f"/mail/{self.peer_id}", headers)
        return fetched

    @inlineCallbacks
    def _octets(self, method: str, path: str, headers: dict[str, str]) -> Any:
        answer = yield self._http.ask(method, path, headers)
        if not 200 <= answer.status < 300:
            raise self._refusal(answer)
        kinds = answer.headers.getRawHeaders("Content-Type", [""])
        if not kinds[0].lower().startswith(ENVELOPE_TYPE):
            raise self._foreign(answer)
        self._answered(answer)
        return answer.body

    def acknowledge(self, names: Sequence[bytes]) -> Deferred[JsonObject]:
        """Say which envelopes are stored; they are deleted."""
        path, body = f"/acknowledge/{self.peer_id}", MailAcknowledgement(tuple(names))
        return self._signed("POST", path, lambda: self.sign(body), "waiting")

    def prekey(self, peer_id: str, token: bytes) -> Deferred[JsonObject]:
        """Return keys to seal something for a peer with, and a permit; signs nothing."""
        headers = {"Authorization": credentials(TOKEN_SCHEME, token)}
        path = f"/prekey/{quote(peer_id)}"
        return self._attempt(self._exchange, "POST", path, "prekeys", headers)

    def leave(
        self, peer_id: str, permit: bytes, envelope: bytes, replaces: str = ""
    ) -> Deferred[JsonObject]:
        """Leave an envelope for a peer, in the place of another where one is named; likewise."""
        query = f"?{urlencode({'replaces': replaces})}" if replaces else ""
        path = f"/mail/{quote(peer_id)}{query}"
        headers = {
            "Authorization": credentials(PERMIT_SCHEME, permit),
            "Content-Type": ENVELOPE_TYPE,
        }
        return self._attempt(self._exchange, "POST", path, "name", headers, envelope)

    def status(self) -> Deferred[JsonObject]:
        """Return what the registry tells everybody of itself; its time is taken from the answer."""
        return self._attempt(self._exchange, "GET", "/status", _ANYTHING)

    def subscribe(
        self,
        received: Callable[[Event], None],
        ended: Callable[[str], None],
        wanted: Mapping[str, int] | None = None,
        last: str = "",
    ) -> Deferred[EventStream]:
        """
        Open our event stream; a Deferred of the :class:`EventStream` fires when its head is there.

        :param wanted: how it is to be written, where that isn't the usual way (docs/protocol.rst).
        :param last: the id of the last document on the stream before, if this run had one: those
            after it, if any was lost, come again.
        """
        return self._attempt(self._open_stream, received, ended, wanted or {}, last)

    @inlineCallbacks
    def _open_stream(
        self,
        received: Callable[[Event], None],
        ended: Callable[[str], None],
        wanted: Mapping[str, int],
        last: str,
    ) -> Any:
        token = self.sign(Subscription())
        query = f"?{urlencode(wanted)}" if wanted else ""
        opened = yield self._http.open(
            f"/events/{self.peer_id}{query}",
            {"Authorization": f"JWS {token}", **({"Last-Event-ID": last} if last else {})},
            lambda: EventStream(self._runtime.clock, received, ended),
        )
        if not isinstance(opened, HttpAnswer):
            return opened
        raise self._foreign(opened) if opened.status == HTTPStatus.OK else self._refusal(opened)

    def close(self) -> Deferred[None]:
        """Close the connections that are kept open; requests that follow make new ones."""
        return self._http.close()

    # -- requests

    def _signed(
        self, method: str, path: str, write: Callable[[], str], member: str
    ) -> Deferred[JsonObject]:
        """Send a document of ours, which a second try signs and dates anew."""

        def send() -> Deferred[JsonObject]:
            token = write()
            if method == "DELETE":  # has no content
                return self._exchange(method, path, member, {"Authorization": f"JWS {token}"})
            kind = {"Content-Type": "application/jose"}
            return self._exchange(method, path, member, kind, token.encode("ascii"))

        return self._attempt(send)

    @inlineCallbacks
    def _attempt(self, send: Callable[..., Deferred[Any]], *args: Any) -> Any:
        """Send; once more if a kept connection proved dead, or our clock proved wrong."""
        try:
            return (yield self._try(send, *args))
        except RegistryError as error:
            if not isinstance(error, NeverSent) and error.reason != "stale-document":
                raise
        return (yield self._try(send, *args))

    @inlineCallbacks
    def _try(self, send: Callable[..., Deferred[Any]], *args: Any) -> Any:
        """Send; an unforeseen error is logged once, and is a failed request like others."""
        try:
            return (yield send(*args))
        except RegistryError:
            raise
        except Exception as error:
            if repr(error) != self._unexpected:
                self._unexpected = repr(error)
                _log.failure("an answer of {server} can't be used", server=self.server)
            kind = type(error).__name__
            raise RegistryError(f"an answer of {self.server} can't be used ({kind})") from None

    @inlineCallbacks
    def _exchange(
        self,
        method: str,
        path: str,
        member: str,
        headers: dict[str, str] | None = None,
        data: bytes = b"",
    ) -> Any:
        """
        Ask; a Deferred of the answer's members.

        :param member: one that a registry's answer has, by which others' are told from it; or
            _NOTHING, where it has no content; or _ANYTHING.
        """
        answer = yield self._http.ask(method, path, headers or {}, data)
        if not 200 <= answer.status < 300:
            raise self._refusal(answer)
        members = {} if answer.status == HTTPStatus.NO_CONTENT else _members(answer)
        if members is None or not (member in members or member in {_ANYTHING, _NOTHING}):
            raise self._foreign(answer)
        if member == _NOTHING and answer.status != HTTPStatus.NO_CONTENT:
            raise self._foreign(answer)
        self._answered(answer)
        return members

    def _foreign(self, answer: HttpAnswer) -> RegistryError:
        """Return who answered in the registry's place, whose connections are given up."""
        self._http.distrust()
        return foreign_answer(self.server, answer.status, answer.headers, answer.body)

    def _refusal(self, answer: HttpAnswer) -> RegistryError:
        try:
            problem = Problem.decode(answer.body)
        except RemoteProtocolError:
            error = self._foreign(answer)
            error.retry_after = self._retry_after(answer)
            return error
        self._answered(answer)
        retry_after = self._retry_after(answer)
        detail = one_line(problem.detail)
        if problem.reason == "unsupported-version":
            return self._incompatible(answer.status)
        if problem.work is not None:
            return WorkRequired(detail, answer.status, problem.work, retry_after)
        reason = problem.reason if _REASON.fullmatch(problem.reason) else "registry"
        return RegistryError(detail, answer.status, reason, retry_after)

    def _incompatible(self, status: int) -> RegistryError:
        """Say who must be updated, in our own words: an older registry knows none for this."""
        return RegistryError(
            f"the registry at {self.server} speaks another version of the protocol than this "
            f"program ({VERSION}); one of the two must be updated",
            status,
            "unsupported-version",
            INCOMPATIBLE_WAIT,
        )

    # -- headers

    def _retry_after(self, answer: HttpAnswer) -> float | None:
        theirs = _date(answer.headers)
        now = self.now() if theirs is None else theirs
        return read_retry_after(answer.headers.getRawHeaders(b"Retry-After", []), now)

    def _answered(self, answer: HttpAnswer) -> None:
        """Take the registry's time from an answer of its own."""
        theirs = _date(answer.headers)
        if theirs is not None:
            self._clock.observe(theirs, answer.asked_at)

    def _warn(self, sentence: str) -> None:
        self.warn(sentence)


def _members(answer: HttpAnswer) -> JsonObject | None:
    """Return the object that an answer has, if it has one."""
    try:
        return loads(answer.body)
    except RemoteProtocolError:
        return None


def _date(headers: Headers) -> float | None:
    """Return what time it was when the registry answered, by its own clock."""
    dates = headers.getRawHeaders(b"Date", [])
    return http_date(dates[0]) if dates else None
