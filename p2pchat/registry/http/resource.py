"""
The registry's HTTP routes::

    POST   /register             body: registration          the record, lease, STUN servers, relays
    POST   /renew/{peer_id}      Authorization: Lease        204: the record, one more lease
    GET    /peer/{peer_id}                                   the record
    GET    /peers                ?after= &limit= &username=  a page of records, in order of ids
    DELETE /peer/{peer_id}       Authorization: removal
    GET    /events/{peer_id}     Authorization: subscription the event stream
    POST   /presence             body: JSON                  who of many peers is online
    POST   /deliver/{peer_id}    body: sealed                202 when the stream took it
    POST   /claim/{nameplate}    body: claim                 a nameplate of the author's, for a time
    GET    /nameplate/{nameplate}                            what stands there
    POST   /respond/{nameplate}  body: JSON                  202: a joiner's one try
    POST   /complete/{nameplate} body: completion            202: the answer to it
    DELETE /nameplate/{nameplate} Authorization: release
    POST   /prekeys/{peer_id}    body: prekeys               the state of the author's mailbox
    POST   /mailbox/{peer_id}    body: mailbox               likewise
    POST   /prekey/{peer_id}     Authorization: Mailbox      prekeys, and a permit
    POST   /mail/{peer_id}       ?replaces= body: octets     202: kept, by Authorization: Permit
    GET    /mail/{peer_id}       Authorization: fetch        what waits, as octets
    POST   /acknowledge/{peer_id} body: acknowledgement      the state
    GET    /status                                           version, uptime, counts
    GET    /healthz                                          whether it can serve
    GET    /metrics                                          counts, as Prometheus reads them
    GET    /openapi.json                                     all this, for programs

A body is a signed document in compact serialization, of type ``application/jose``, but for that of
a joiner, a question about presence and an envelope, which nobody signs; in a header it stands as
``Authorization: JWS <document>``.  A renewal isn't signed: it shows the token that came with the
registration, as ``Authorization: Lease <token>``, and can change nothing.  Whatever is refused is
answered with a problem document, whatever goes wrong inside with one that says no more than that.

The ``Host`` of a request, and whom a document for the registry may name, are checked by
:mod:`p2pchat.registry.audiences`.

The address of a peer is that of its TCP connection, unless that is a ``--trusted-proxy``, which
says whom it speaks for (:mod:`p2pchat.registry.http.client_address`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from importlib.resources import files
from typing import Any, BinaryIO, cast

import attrs
from klein import Klein
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.server import Request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from p2pchat import __version__
from p2pchat.errors import NotCompact, RemoteProtocolError
from p2pchat.identity.keys import check_peer_id
from p2pchat.registry import metrics
from p2pchat.registry.admission.rates import Limits
from p2pchat.registry.audiences import is_loopback
from p2pchat.registry.event_streams import KEEPALIVE
from p2pchat.registry.http.access import AccessControl, ConnectionInfo
from p2pchat.registry.http.client_address import FORWARDED, TrustedProxies
from p2pchat.registry.http.connections import CONNECTIONS
from p2pchat.registry.http.plain_requests import PlainRequest
from p2pchat.registry.http.site import MISTAKE, AnyRequest, RegistryRequest, RegistrySite, refuse
from p2pchat.registry.mailbox.mailboxes import NO_PERMIT, Mailboxes
from p2pchat.registry.refusals import Refused, refusal_of, refused
from p2pchat.registry.registry import Registry
from p2pchat.registry.store.directory import MAX_PAGE, Page, PublicRecord
from p2pchat.wire.mailbox import ENVELOPE_TYPE, TOKEN_SCHEME, parse_name
from p2pchat.wire.mailbox import FEATURE as MAILBOX
from p2pchat.wire.nameplates import PakeResponse, check_nameplate
from p2pchat.wire.presence import PRESENCE, PresenceQuery
from p2pchat.wire.strict_json import JsonObject, dumps, loads

DOCUMENT_TYPE = b"application/jose"
JSON = b"application/json"
SCHEME = "JWS"
LEASE_SCHEME = "Lease"
DEFAULT_PAGE = 100  # records
MAX_KEEPALIVE = 3600  # seconds that may be asked for
MAX_PADDING = 8192  # bytes; twice what most proxies collect
MAX_EVENT_ID = 15  # digits
LIST = "list"  # a feature: anybody may list the peers, and look them up by name
WATCHING = Limits(32, 32)  # the metrics' own connections: a full registry can be watched


def _description() -> bytes:
    """Return the OpenAPI description of these routes; the tests hold it to them."""
    description = json.loads(files("p2pchat.registry.http").joinpath("openapi.json").read_bytes())
    description["info"]["version"] = __version__
    return dumps(description)


# What is the same for everybody is written once.
_DESCRIPTION = _description()
_HEALTHY = dumps({"status": "ok"})
_NO_ROUTE = refused(404, "no-such-route", "no such route; /openapi.json has those that there are")
_NO_LIST = refused(
    403, "no-list", "this registry lists nobody, nor looks names up: ask for a peer by its whole id"
)
_NO_MAILBOXES = refused(403, "no-mailboxes", "this registry keeps nothing for peers that are away")
_LOCAL_ONLY = refused(
    403,
    "local-only",
    "metrics are for this machine only, and not even that where --metrics is given",
)
_NOT_FOR_PAGES = refused(
    403, "not-for-pages", "metrics are for programs, not for pages in browsers"
)

_log = Logger()


@attrs.frozen
class HttpSettings:
    """
    Settings of the HTTP, as the operator chose them.

    :ivar proxies: who is believed about the address of a client.
    :ivar connections: how many there may be.
    :ivar local_metrics: whether programs on this machine may read the metrics.
    :ivar has_list: whether anybody may list the peers, and look them up by name.
    """

    proxies: TrustedProxies = attrs.field(factory=TrustedProxies)
    connections: Limits = CONNECTIONS
    local_metrics: bool = True
    has_list: bool = True


@attrs.define(eq=False, slots=False)  # Klein keeps itself in the instance's __dict__
class _Resource:
    """Routes over one registry, and who may ask for them."""

    registry: Registry
    settings: HttpSettings = attrs.field(factory=HttpSettings)
    access: AccessControl = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        audiences = self.registry.settings.audiences
        self.access = AccessControl(self.registry.admission, audiences, self.settings.proxies)


@attrs.define(eq=False, slots=False)
class RegistryResource(_Resource):
    """The routes over one registry; :meth:`site` serves them."""

    app = Klein()

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        rules = {re.sub("<(.*)>", r"{\1}", one.rule) for one in self.app.url_map.iter_rules()}
        self.registry.metrics.expect(sorted(rules))

    @property
    def _features(self) -> JsonObject:
        """What this registry offers beside what all do."""
        keeps_mail = self.registry.mailboxes is not None
        offered = [*[LIST] * self.settings.has_list, PRESENCE, *[MAILBOX] * keeps_mail]
        return {"features": offered}

    def site(self) -> RegistrySite:
        """Return the factory of HTTP connections to these routes."""
        limits = self.settings.connections
        site = RegistrySite(self.app.resource(), self, self.registry, limits)
        gauge = self.registry.metrics.gauge
        gauge("connections", "HTTP connections here.", lambda: len(site.connections))
        return site

    @app.route("/register", methods=["POST"])
    def register(self, request: AnyRequest) -> Deferred[bytes]:
        """Hold a record."""
        answer = self.registry.register(_body(request), request.origin, request.ip)
        return answer.addCallback(lambda members: _answer(request, {**members, **self._features}))

    @app.route("/peer/<peer_id>", methods=["GET"])
    def peer(self, request: AnyRequest, peer_id: str) -> Deferred[bytes]:
        """Show a record."""
        found = self.registry.find(check_peer_id(peer_id))
        return found.addCallback(lambda record: _answer(request, record.to_whole_json()))

    @app.route("/renew/<peer_id>", methods=["POST"])
    def renew(self, request: AnyRequest, peer_id: str) -> Deferred[bytes]:
        """Hold a record for one more lease."""
        renewal = _credentials(request, LEASE_SCHEME, "show the lease that you were given")
        renewed = self.registry.renew(check_peer_id(peer_id), renewal, request.ip)
        return renewed.addCallback(lambda _: _say_nothing(request))

    @app.route("/peers", methods=["GET"])
    def peers(self, request: RegistryRequest) -> Deferred[bytes]:
        """Show a page of records, where the operator lets anybody see them."""
        if not self.settings.has_list:
            return succeed(self._refuse(request, _NO_LIST))
        after, username = _query(request, "after"), _query(request, "username")
        limit = _number(request, "limit", MAX_PAGE, DEFAULT_PAGE)
        page = self.registry.page(check_peer_id(after) if after else "", limit, username)
        show = PublicRecord.to_json if username is None else PublicRecord.to_whole_json
        return page.addCallback(lambda page: _answer(request, _shown(page, show)))

    @app.route("/presence", methods=["POST"])
    def presence(self, request: AnyRequest) -> Deferred[bytes]:
        """Tell who of many is online."""
        query = PresenceQuery.from_json(_json_body(request))
        answer = self.registry.presence.ask(query, request.ip)
        return answer.addCallback(lambda members: _answer(request, members))

    @app.route("/peer/<peer_id>", methods=["DELETE"])
    def remove(self, request: AnyRequest, peer_id: str) -> Deferred[bytes]:
        """End a record."""
        token = _authorization(request)
        removed = self.registry.remove(token, request.origin, check_peer_id(peer_id))
        return removed.addCallback(lambda _: _answer(request, {"removed": True}))

    @app.route("/events/<peer_id>", methods=["GET"])
    def events(self, request: RegistryRequest, peer_id: str) -> Deferred[None]:
        """Open an event stream."""
        if request.method == b"HEAD":
            raise MethodNotAllowed(["GET"])
        token, origin, ip = _authorization(request), request.origin, request.ip
        keepalive = _number(request, "keepalive", MAX_KEEPALIVE, KEEPALIVE)
        padding = _number(request, "padding", MAX_PADDING, 0)
        peer_id = check_peer_id(peer_id)
        return self.registry.subscribe(
            token,
            origin,
            peer_id,
            ip,
            request,
            keepalive=keepalive,
            padding=padding,
            after=_last_event(request),
        )

    @app.route("/deliver/<peer_id>", methods=["POST"])
    def deliver(self, request: AnyRequest, peer_id: str) -> Deferred[bytes]:
        """Pass a document on."""
        taken = self.registry.deliver(_body(request), check_peer_id(peer_id))
        answer = {"delivered": True}
        return taken.addCallback(lambda _: _answer(request, answer, HTTPStatus.ACCEPTED))

    @app.route("/claim/<nameplate>", methods=["POST"])
    def claim(self, request: AnyRequest, nameplate: str) -> Deferred[bytes]:
        """Give a nameplate to a peer."""
        audiences = self.registry.settings.audiences.accepted(request.origin)
        name = check_nameplate(nameplate)
        claimed = self.registry.nameplates.claim(_body(request), name, audiences, request.ip)
        return claimed.addCallback(lambda members: _answer(request, members))

    @app.route("/nameplate/<nameplate>", methods=["GET"])
    def nameplate(self, request: AnyRequest, nameplate: str) -> Deferred[bytes]:
        """Show what stands at a nameplate."""
        shown = self.registry.nameplates.look(check_nameplate(nameplate), request.ip)
        return shown.addCallback(lambda members: _answer(request, members))

    @app.route("/respond/<nameplate>", methods=["POST"])
    def respond(self, request: AnyRequest, nameplate: str) -> Deferred[bytes]:
        """Take a joiner's one try."""
        name, response = check_nameplate(nameplate), PakeResponse.from_json(_json_body(request))
        taken = self.registry.nameplates.respond(response, name, request.ip)
        return taken.addCallback(lambda members: _answer(request, members, HTTPStatus.ACCEPTED))

    @app.route("/complete/<nameplate>", methods=["POST"])
    def complete(self, request: AnyRequest, nameplate: str) -> Deferred[bytes]:
        """Take the answer to it."""
        audiences = self.registry.settings.audiences.accepted(request.origin)
        name = check_nameplate(nameplate)
        taken = self.registry.nameplates.complete(_body(request), name, audiences)
        return taken.addCallback(lambda members: _answer(request, members, HTTPStatus.ACCEPTED))

    @app.route("/nameplate/<nameplate>", methods=["DELETE"])
    def release(self, request: AnyRequest, nameplate: str) -> Deferred[bytes]:
        """Take a nameplate away."""
        audiences = self.registry.settings.audiences.accepted(request.origin)
        name = check_nameplate(nameplate)
        released = self.registry.nameplates.release(_authorization(request), name, audiences)
        return released.addCallback(lambda members: _answer(request, members))

    @property
    def _mailboxes(self) -> Mailboxes:
        if self.registry.mailboxes is None:
            raise _NO_MAILBOXES
        return self.registry.mailboxes

    @app.route("/prekeys/<peer_id>", methods=["POST"])
    def prekeys(self, request: AnyRequest, peer_id: str) -> Deferred[bytes]:
        """Take an owner's prekeys."""
        audiences, mailboxes = self._accepted(request), self._mailboxes
        owner = check_peer_id(peer_id)
        taken = mailboxes.publish(_body(request), audiences, owner, request.ip)
        return taken.addCallback(lambda members: _answer(request, members))

    @app.route("/mailbox/<peer_id>", methods=["POST"])
    def mailbox(self, request: AnyRequest, peer_id: str) -> Deferred[bytes]:
        """Take the hashes of an owner's tokens."""
        audiences, mailboxes = self._accepted(request), self._mailboxes
        taken = mailboxes.allow(_body(request), audiences, check_peer_id(peer_id))
        return taken.addCallback(lambda members: _answer(request, members))

    @app.route("/prekey/<peer_id>", methods=["POST"])
    def prekey(self, request: AnyRequest, peer_id: str) -> Deferred[bytes]:
        """Give prekeys to a depositor."""
        mailboxes = self._mailboxes
        token = _credentials(request, TOKEN_SCHEME, "show the token that the owner gave you")
        given = mailboxes.give(token, check_peer_id(peer_id), request.ip)
        return given.addCallback(lambda members: _answer(request, members))

    @app.route("/mail/<peer_id>", methods=["POST"])
    def deposit(self, request: RegistryRequest, peer_id: str) -> Deferred[bytes]:
        """Keep an envelope."""
        mailboxes, upload, replaces = self._mailboxes, request.upload, _query(request, "replaces")
        if upload is None:
            raise NO_PERMIT
        envelope = _content(request, ENVELOPE_TYPE.encode("ascii"), "an envelope")
        kept = mailboxes.deposit(upload, envelope, parse_name(replaces) if replaces else b"")
        return kept.addCallback(lambda members: _answer(request, members, HTTPStatus.ACCEPTED))

    @app.route("/mail/<peer_id>", methods=["GET"])
    def fetch(self, request: RegistryRequest, peer_id: str) -> Deferred[bytes]:
        """Show an owner what waits."""
        audiences, mailboxes = self._accepted(request), self._mailboxes
        token = _authorization(request)
        found = mailboxes.fetch(token, audiences, check_peer_id(peer_id), request)
        return found.addCallback(lambda body: _send(request, body, ENVELOPE_TYPE.encode("ascii")))

    @app.route("/acknowledge/<peer_id>", methods=["POST"])
    def acknowledge(self, request: AnyRequest, peer_id: str) -> Deferred[bytes]:
        """Delete what an owner has stored."""
        audiences, mailboxes = self._accepted(request), self._mailboxes
        taken = mailboxes.acknowledge(_body(request), audiences, check_peer_id(peer_id))
        return taken.addCallback(lambda members: _answer(request, members))

    def _accepted(self, request: AnyRequest) -> frozenset[str]:
        return self.registry.settings.audiences.accepted(request.origin)

    @app.route("/status", methods=["GET"])
    def status(self, request: AnyRequest) -> Deferred[bytes]:
        """Show counts, and where STUN is."""
        also = {
            "version": __version__,
            **self._features,
            "stun_servers": self.registry.settings.stun_urls(request.origin),
        }
        counts = self.registry.status()
        return counts.addCallback(lambda members: _answer(request, {**also, **members}))

    @app.route("/healthz", methods=["GET"])
    def healthz(self, request: AnyRequest) -> bytes:
        """Tell a load balancer whether to send anybody here."""
        self.registry.check_health()
        return _send(request, _HEALTHY, JSON)

    @app.route("/metrics", methods=["GET"])
    def metrics(self, request: AnyRequest) -> Deferred[bytes]:
        """Show counts to Prometheus, if it runs on this machine."""
        if not (self.settings.local_metrics and is_loopback(request.ip)):
            return succeed(self._refuse(request, _LOCAL_ONLY))
        return show_metrics(request, self.registry)

    @app.route("/openapi.json", methods=["GET"])
    def openapi(self, request: AnyRequest) -> bytes:
        """Show what the routes take and answer."""
        return _send(request, _DESCRIPTION, JSON)

    def nowhere(self, request: IRequest | PlainRequest, *_words: str) -> bytes:
        """Answer what has no route."""
        return self._refuse(request, _NO_ROUTE)

    def answer_plain(
        self, request: PlainRequest, connection: ConnectionInfo
    ) -> Deferred[bytes] | None:
        """
        Answer a plain request by the route methods above; None: it is for Klein to route.

        Only what peers ask all the time is worth a way of its own, and what strangers may.
        """
        _, word, *ids = request.path.split(b"/")
        method = _PLAIN_ROUTES.get((request.method, word, len(ids)))
        if method is None:
            if self.registry.metrics.route_of(request.path) != metrics.OTHER:
                return None
            method = RegistryResource.nowhere
        answer: Deferred[bytes] = maybeDeferred(self._enter, request, connection, method, ids)
        return answer.addErrback(self._answer_failure, request)

    def _enter(
        self,
        request: PlainRequest,
        connection: ConnectionInfo,
        method: Callable[..., Any],
        ids: list[bytes],
    ) -> Any:
        said = request.getHeader(FORWARDED)
        forwarded = [] if said is None else [said]
        request.ip = self.access.admit(connection, forwarded, request.method, request.path)
        request.origin = self.access.addressed(connection, request.getHeader(b"host"))
        return method(self, request, *(one.decode("ascii") for one in ids))

    def _answer_failure(self, failure: Failure, request: PlainRequest) -> bytes:
        """Answer an error by the same methods as Klein does, in their order."""
        kinds = {(RemoteProtocolError, Refused): self.refuse, (CancelledError,): self.gone}
        answer = next((kinds[kind] for kind in kinds if failure.check(*kind)), self.fail)
        body: bytes = answer(request, failure)
        return body

    @app.handle_errors(RemoteProtocolError, Refused)
    def refuse(self, request: IRequest, failure: Failure) -> bytes:
        """Answer what the registry refuses."""
        assert isinstance(failure.value, RemoteProtocolError | Refused)
        return self._refuse(request, refusal_of(failure.value))

    @app.handle_errors(HTTPException)
    def no_route(self, request: IRequest, failure: Failure) -> bytes:
        """Answer what has no route, or not with this method."""
        assert isinstance(failure.value, HTTPException)
        if not isinstance(failure.value, MethodNotAllowed):
            return self.nowhere(request)
        allowed = ", ".join(sorted({*(failure.value.valid_methods or ()), "OPTIONS"}))
        request.setHeader(b"Allow", allowed.encode("ascii"))
        if request.method == b"OPTIONS":
            return _say_nothing(request)
        detail = f"this route takes {allowed}"
        return self._refuse(request, refused(405, "method-not-allowed", detail))

    @app.handle_errors(CancelledError)
    def gone(self, request: IRequest, failure: Failure) -> bytes:
        """Say nothing: the client left before there was an answer."""
        return b""

    @app.handle_errors(Exception)
    def fail(self, request: IRequest, failure: Failure) -> bytes:
        """Answer our own mistakes, without a word about their insides."""
        _log.failure("a request could not be answered", failure)
        return self._refuse(request, MISTAKE)

    def _refuse(self, request: IRequest | PlainRequest, refusal: Refused) -> bytes:
        self.registry.metrics.refused(refusal.problem.reason)
        return refuse(request, refusal)


_PLAIN_ROUTES: dict[tuple[bytes, bytes, int], Callable[..., Deferred[bytes] | bytes]] = {
    (b"POST", b"register", 0): RegistryResource.register,
    (b"POST", b"renew", 1): RegistryResource.renew,
    (b"GET", b"peer", 1): RegistryResource.peer,
    (b"POST", b"presence", 0): RegistryResource.presence,
    (b"POST", b"deliver", 1): RegistryResource.deliver,
    (b"GET", b"nameplate", 1): RegistryResource.nameplate,
    (b"POST", b"respond", 1): RegistryResource.respond,
    (b"POST", b"prekey", 1): RegistryResource.prekey,
    (b"GET", b"status", 0): RegistryResource.status,
    (b"GET", b"healthz", 0): RegistryResource.healthz,
    (b"GET", b"metrics", 0): RegistryResource.metrics,
    (b"GET", b"openapi.json", 0): RegistryResource.openapi,
}


def _body(request: AnyRequest) -> str:
    return _ascii(_content(request, DOCUMENT_TYPE, "a JWS"))


def _json_body(request: AnyRequest) -> JsonObject:
    return loads(_content(request, JSON, "an object"))


def _content(request: AnyRequest, kind: bytes, what: str) -> bytes:
    given = request.getHeader(b"content-type") or b""  # as text it would have to be UTF-8
    if given.partition(b";")[0].strip().lower() != kind:
        detail = f"send {what} as {kind.decode()}"
        raise refused(415, "unsupported-media-type", detail)
    return cast(BinaryIO, request.content).read()


def _authorization(request: AnyRequest) -> str:
    return _credentials(request, SCHEME, "sign the request")


def _credentials(request: AnyRequest, scheme: str, advice: str) -> str:
    given, _, token = _ascii(request.getHeader(b"authorization") or b"").partition(" ")
    if given.lower() != scheme.lower():
        raise refused(401, "unsigned", f"{advice}: 'Authorization: {scheme} ...'")
    return token.strip()


def _say_nothing(request: IRequest | PlainRequest) -> bytes:
    request.setResponseCode(HTTPStatus.NO_CONTENT)
    return b""


@attrs.define(eq=False, slots=False)
class MetricsResource(_Resource):
    """The metrics alone, for an endpoint of their own; :meth:`site` serves them."""

    app = Klein()

    def site(self) -> RegistrySite:
        """Return the factory of HTTP connections to this route."""
        return RegistrySite(self.app.resource(), self, self.registry, WATCHING)

    def answer_plain(self, _request: PlainRequest, _connection: ConnectionInfo) -> None:
        """Leave everything to Klein: there is one route, and who asks is known."""

    @app.route("/metrics", methods=["GET"])
    def metrics(self, request: AnyRequest) -> Deferred[bytes]:
        """Show counts to Prometheus, wherever it runs."""
        return show_metrics(request, self.registry)


def show_metrics(request: AnyRequest, registry: Registry) -> Deferred[bytes]:
    """
    Answer with the registry's counts, as Prometheus reads them.

    A page in a browser gets none, not even one of this origin, for there are no pages here: a
    browser says what asks, to secure origins and to this machine, and only a person asks by none.
    """
    if request.getHeader(b"origin") or request.getHeader(b"sec-fetch-site") not in (None, b"none"):
        registry.metrics.refused(_NOT_FOR_PAGES.problem.reason)
        return succeed(refuse(request, _NOT_FOR_PAGES))
    text = registry.exposition()
    return text.addCallback(lambda body: _send(request, body, metrics.CONTENT_TYPE))


def _answer(request: AnyRequest, members: JsonObject, status: int = HTTPStatus.OK) -> bytes:
    return _send(request, dumps(members), JSON, status)


def _send(request: AnyRequest, body: bytes, kind: bytes, status: int = HTTPStatus.OK) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", kind)
    request.setHeader(b"Content-Length", b"%d" % len(body))
    request.setHeader(b"Cache-Control", b"no-store")
    return body


def _shown(page: Page, show: Callable[[PublicRecord], JsonObject]) -> JsonObject:
    return {"peers": [show(one) for one in page.records], "next": page.next}


def _ascii(data: bytes) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise NotCompact() from None


def _query(request: Request, name: str) -> str | None:
    values: list[Any] = request.args.get(name.encode("ascii"), [])
    if len(values) > 1:
        raise RemoteProtocolError(f"{name} is given twice")
    try:
        return values[0].decode("utf-8") if values else None
    except UnicodeDecodeError:
        raise RemoteProtocolError(f"{name} must be UTF-8") from None


def _number(request: Request, name: str, most: int, otherwise: float) -> int:
    text = _query(request, name)
    if text is None:
        return int(otherwise)
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= most):
        raise RemoteProtocolError(f"{name} must be from 1 to {most}")
    return int(text)


def _last_event(request: Request) -> int | None:
    """Return the number of the last document that a program had; None: it has had no stream."""
    said = request.getHeader(b"last-event-id") or b""
    return int(said) if said.isdigit() and len(said) <= MAX_EVENT_ID else None
