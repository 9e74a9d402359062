"""
What the registry says of itself: the OpenAPI 3.1 description that ``/openapi.json`` serves.

One table, OPERATIONS, has a row for each route and method, with every reason for which it may
refuse; the tests compare it with Klein's own map of routes and with every refusal in the source,
and schemathesis compares it with the running server.

OpenAPI has no word for a signed document, so it is a string here, with a ``format`` that names
the type of document; docs/protocol.rst says what is in it.  A document in ``Authorization`` is
an HTTP authentication scheme of its own, ``JWS``; the token of a lease is another, ``Lease``.
"""

from __future__ import annotations

from http import HTTPStatus
from itertools import groupby
from typing import Any

import attrs

from p2pchat.identity.documents import MAX_DOCUMENT
from p2pchat.signaling.directory import MAX_PAGE
from p2pchat.signaling.streams import EVENTS
from p2pchat.wire.documents import MAX_LABEL
from p2pchat.wire.problems import CONTENT_TYPE, TYPE_PREFIX
from p2pchat.wire.usernames import MAX_USERNAME
from p2pchat.wire.work import MAX_DIFFICULTY

Schema = dict[str, Any]

PEER_ID = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-8[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"

# Refusals, as status and reason.  Any route may meet the first ones, any with a document the
# second ones, and any that takes a document for the registry the third.
ANYWHERE = (
    *((400, "malformed"), (411, "length-required"), (413, "body-too-large")),
    *((421, "misdirected"), (429, "too-many-requests"), (500, "internal-error")),
    *((429, "too-many-connections"), (503, "too-many-connections")),
)
SIGNED = (
    *((400, "not-compact"), (400, "bad-header"), (400, "not-utf-8"), (400, "not-json")),
    *((400, "nested-too-deep"), (400, "duplicate-key"), (413, "document-too-long")),
    *((400, "unsupported-version"), (400, "wrong-type"), (401, "bad-signature")),
    *((401, "wrong-issuer"), (401, "stale-document"), (403, "wrong-audience")),
    *((409, "replayed-document"), (503, "too-many-documents")),
    (503, "store-unavailable"),
)
IN_BODY = (*SIGNED, (415, "unsupported-media-type"))
IN_HEADER = (*SIGNED, (401, "unsigned"), (403, "not-yours"))
SHOWING_LEASE = ((401, "unsigned"), (503, "store-unavailable"))
NO_ROUTE = ((404, "no-such-route"), (405, "method-not-allowed"))  # those of no operation

_SCHEMES = {"document": IN_HEADER, "lease": SHOWING_LEASE, "": ()}

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
COUNTS: Schema = {"type": "object", "additionalProperties": COUNT}
_HEADERS: dict[int, tuple[str, Schema]] = {
    401: ("WWW-Authenticate", TEXT),
    429: ("Retry-After", COUNT),
    503: ("Retry-After", COUNT),
}


def _object(required: Schema, optional: Schema | None = None) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _record() -> Schema:
    return {
        "peer_id": _ref("PeerId"),
        "username": _ref("Username"),
        "nat": {"type": "string", "maxLength": MAX_LABEL},
        "online": {"type": "boolean"},
        "as_of": COUNT,
        "ip": _or_null(TEXT),
        "port": _or_null({"type": "integer", "minimum": 1, "maximum": 65535}),
        "addresses": _or_null({"type": "array", "items": TEXT}),
    }


def _relays() -> Schema:
    urls = {"type": "array", "items": TEXT, "maxItems": 8}
    return _object({"urls": urls, "username": TEXT, "password": TEXT, "ttl": COUNT})


def _schemas() -> Schema:
    seconds = {"type": "number", "minimum": 0}
    anything = {"type": "object"}
    return {
        "PeerId": {"type": "string", "format": "peer-id", "pattern": PEER_ID},
        "Username": {"type": "string", "minLength": 1, "maxLength": MAX_USERNAME},
        "Record": _object(_record()),
        "Registered": _object(
            {
                **_record(),
                "lease": seconds,
                "renewal": TEXT,
                "stun": {"type": "array", "items": TEXT},
                "your_ip": TEXT,
            },
            {"turn": _relays()},
        ),
        "Page": _object(
            {
                "peers": {"type": "array", "items": _ref("Record"), "maxItems": MAX_PAGE},
                "next": _or_null(_ref("PeerId")),
            }
        ),
        "Removed": _object({"removed": {"const": True}}),
        "Delivered": _object({"delivered": {"const": True}}),
        "Health": _object({"status": {"const": "ok"}}),
        "Status": _object(
            {
                "version": TEXT,
                "stun_servers": {"type": "array", "items": TEXT},
                "uptime": seconds,
                "peers_registered": _or_null(COUNT),
                "peers_online": COUNT,
                "offers": COUNT,
                "deliveries": COUNT,
                "errors": COUNTS,
                "refusals": COUNTS,
                "stun": COUNTS,
            }
        ),
        "Work": _object(
            {
                "algorithm": TEXT,
                "seed": TEXT,
                "difficulty": {**COUNT, "maximum": MAX_DIFFICULTY},
                "expires": COUNT,
            }
        ),
        "Description": _object({"openapi": TEXT, "info": anything, "paths": anything}),
    }


# Of an event stream each event is described; OpenAPI 3.1 leaves open what a schema means there.
_EVENT = _object(
    {"event": {"enum": list(EVENTS)}, "data": TEXT}, {"id": {**TEXT, "pattern": "^[0-9]+$"}}
)
_TEXTS = {"text/event-stream": _EVENT, "text/plain": TEXT}


@attrs.frozen
class Operation:
    """
    One route with one method.

    :ivar name: the operationId.
    :ivar answer: name of the schema of the answer; or its media type, where it isn't JSON; or "":
        it has no body.
    :ivar refusals: those of its own.
    :ivar body: the format of the document in its body, or "".
    :ivar authorization: what stands in ``Authorization``: "document", "lease", or "".
    :ivar query: schemas by name.
    :ivar links: what a client may do next: names of operations, with their parameters.
    """

    method: str
    path: str
    name: str
    summary: str
    answer: str
    refusals: tuple[tuple[int, str], ...] = ()
    body: str = ""
    authorization: str = ""
    status: int = 200
    query: Schema = attrs.field(factory=dict)
    links: Schema = attrs.field(factory=dict)

    def all_refusals(self) -> list[tuple[int, str]]:
        """Return all the statuses and reasons with which it may refuse, in order."""
        in_body = IN_BODY if self.body else ()
        return sorted({*ANYWHERE, *in_body, *_SCHEMES[self.authorization], *self.refusals})

    def describe(self) -> Schema:
        """Return the Operation Object."""
        described: Schema = {
            "operationId": self.name,
            "summary": self.summary,
            "parameters": self._parameters(),
            "responses": {str(self.status): self._answer(), **self._problems()},
        }
        if self.body:
            document = {"type": "string", "format": self.body, "maxLength": MAX_DOCUMENT}
            content = {"application/jose": {"schema": document}}
            described["requestBody"] = {"required": True, "content": content}
        if self.authorization:
            described["security"] = [{self.authorization: []}]
        return described

    def _parameters(self) -> list[Schema]:
        query = [{"name": name, "in": "query", "schema": one} for name, one in self.query.items()]
        if "{peer_id}" not in self.path:
            return query
        peer_id = {"name": "peer_id", "in": "path", "required": True, "schema": _ref("PeerId")}
        return [peer_id, *query]

    def _answer(self) -> Schema:
        if not self.answer:
            return {"description": HTTPStatus(self.status).phrase}
        is_json = "/" not in self.answer
        kind = "application/json" if is_json else self.answer
        schema = _ref(self.answer) if is_json else _TEXTS[self.answer]
        answer: Schema = {
            "description": HTTPStatus(self.status).phrase,
            "headers": {"Cache-Control": {"required": True, "schema": TEXT}},
            "content": {kind: {"schema": schema}},
        }
        links = {
            name: {"operationId": name, "parameters": parameters}
            for name, parameters in self.links.items()
        }
        return {**answer, "links": links} if links else answer

    def _problems(self) -> Schema:
        by_status = groupby(self.all_refusals(), key=lambda refusal: refusal[0])
        return {
            str(status): _problem(status, [reason for _, reason in refusals])
            for status, refusals in by_status
        }


def _problem(status: int, reasons: list[str]) -> Schema:
    work = {"work": _ref("Work")} if "work-required" in reasons else {}
    problem = _object(
        {
            "type": {"enum": [TYPE_PREFIX + reason for reason in reasons]},
            "title": {"const": HTTPStatus(status).phrase},
            "status": {"const": status},
            "detail": TEXT,
        },
        work,
    )
    answer: Schema = {
        "description": ", ".join(reasons),
        "content": {CONTENT_TYPE.decode("ascii"): {"schema": problem}},
    }
    if status in _HEADERS:
        name, schema = _HEADERS[status]
        answer["headers"] = {name: {"required": True, "schema": schema}}
    return answer


_UNKNOWN = (404, "unknown-peer")
_STOPPING = (503, "stopping")
_TOO_MANY_STREAMS = ((429, "too-many-streams"), (503, "too-many-streams"))
_NO_STORE = (503, "store-unavailable")
_THIS_PEER = {"peer_id": "$response.body#/peer_id"}
_AFTER: Schema = {"anyOf": [{"const": ""}, _ref("PeerId")]}

OPERATIONS = (
    Operation(
        *("POST", "/register", "register", "Hold a record of the author for one lease."),
        "Registered",
        refusals=((429, "work-required"), (503, "registry-full")),
        body="registration",
        links=dict.fromkeys(
            ("renew", "show_peer", "open_events", "deliver", "remove_peer"), _THIS_PEER
        ),
    ),
    Operation(
        *("POST", "/renew/{peer_id}", "renew", "Hold a record for one more lease, as it is."),
        "",
        refusals=((404, "unknown-lease"),),
        authorization="lease",
        status=204,
    ),
    Operation(
        *("GET", "/peer/{peer_id}", "show_peer", "Show a record."),
        "Record",
        refusals=(_UNKNOWN, _NO_STORE),
    ),
    Operation(
        *("GET", "/peers", "list_peers", "Show a page of records, in the order of their ids."),
        "Page",
        refusals=((403, "no-list"), _NO_STORE),
        query={
            "after": _AFTER,
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE},
            "username": TEXT,
        },
        links={
            "list_peers": {"after": "$response.body#/next"},
            "show_peer": {"peer_id": "$response.body#/peers/0/peer_id"},
        },
    ),
    Operation(
        *("DELETE", "/peer/{peer_id}", "remove_peer", "End the author's record."),
        "Removed",
        refusals=(_UNKNOWN,),
        authorization="document",
    ),
    Operation(
        *("GET", "/events/{peer_id}", "open_events", "Open the author's event stream."),
        "text/event-stream",
        refusals=((404, "not-registered"), *_TOO_MANY_STREAMS, _STOPPING),
        authorization="document",
    ),
    Operation(
        *("POST", "/deliver/{peer_id}", "deliver", "Pass a document on to a peer."),
        "Delivered",
        refusals=(
            *((403, "not-registered"), _UNKNOWN, (404, "peer-offline")),
            *((429, "too-many-strangers"), (503, "stream-full")),
        ),
        body="for-peer",
        status=202,
    ),
    Operation("GET", "/status", "show_status", "Show counts.", "Status"),
    Operation(
        *("GET", "/healthz", "show_health", "Tell whether it can serve."),
        "Health",
        refusals=(_STOPPING, _NO_STORE),
    ),
    Operation(
        *("GET", "/metrics", "show_metrics", "Show counts to Prometheus; to this machine only."),
        "text/plain",
        refusals=((403, "local-only"), (403, "not-for-pages")),
    ),
    Operation("GET", "/openapi.json", "describe", "Show this description.", "Description"),
)

ROUTES = tuple(dict.fromkeys(operation.path for operation in OPERATIONS))


def describe(version: str) -> Schema:
    """
    Return the whole description.

    :param version: of this program.
    """
    paths: Schema = {route: {} for route in ROUTES}
    for operation in OPERATIONS:
        paths[operation.path][operation.method.lower()] = operation.describe()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "p2pchat registry",
            "version": version,
            "description": "Introduces peers to each other; docs/protocol.rst has the documents.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "document": {
                    "type": "http",
                    "scheme": "JWS",
                    "description": "A signed document: a removal, or a subscription.",
                },
                "lease": {
                    "type": "http",
                    "scheme": "Lease",
                    "description": "The renewal of the answer to the latest registration.",
                },
            },
        },
    }
