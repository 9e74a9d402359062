"""The description of the routes, and the routes."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import p2pchat.registry
from p2pchat import __version__
from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.keys import check_peer_id
from p2pchat.identity.signed_documents import MAX_DOCUMENT
from p2pchat.registry.event_streams import EVENTS
from p2pchat.registry.http.resource import RegistryResource
from p2pchat.registry.store.directory import MAX_PAGE, MAX_REGISTRATION
from p2pchat.wire.documents import MAX_LABEL
from p2pchat.wire.nameplates import LONGEST, MAX_CARD
from p2pchat.wire.usernames import MAX_USERNAME
from p2pchat.wire.work import MAX_DIFFICULTY
from tests.registry.http.description import DESCRIPTION, operations, resolved
from tests.registry.web import Web, identity

# What schemathesis can't cause: tests/openapi checks the rest against the running server.
IMPLIED = {"HEAD", "OPTIONS"}

# Refusals, as status and reason.  Any route may meet the first ones, any with a document the
# second ones, and those of no route are in no operation.
ANYWHERE = {
    *((400, "malformed"), (411, "length-required"), (413, "body-too-large")),
    *((421, "misdirected"), (429, "too-many-requests"), (500, "internal-error")),
    *((429, "too-many-connections"), (503, "too-many-connections")),
}
SIGNED = {
    *((400, "not-compact"), (400, "bad-header"), (400, "not-utf-8"), (400, "not-json")),
    *((400, "nested-too-deep"), (400, "duplicate-key"), (413, "document-too-long")),
    *((400, "unsupported-version"), (400, "wrong-type"), (401, "bad-signature")),
    *((401, "wrong-issuer"), (401, "stale-document"), (403, "wrong-audience")),
    *((409, "replayed-document"), (503, "too-many-documents")),
    (503, "store-unavailable"),
}
IN_BODY = {*SIGNED, (415, "unsupported-media-type")}
IN_HEADER = {*SIGNED, (401, "unsigned"), (403, "not-yours")}
SHOWING_LEASE = {(401, "unsigned"), (503, "store-unavailable")}
NO_ROUTE = {(404, "no-such-route"), (405, "method-not-allowed")}

HEADERS = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}


def refusals() -> set[tuple[int, str]]:
    """Return the refusals in the registry's source: an HTTP error status, then a reason."""
    found = set()
    for file in Path(p2pchat.registry.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            given = node.args if isinstance(node, ast.Call) else getattr(node, "elts", [])
            match given[:2]:
                case [ast.Constant(value=int(status)), ast.Constant(value=str(reason))]:
                    found |= {(status, reason)} if 400 <= status < 600 else set()
    return found


class DescriptionTests(SynchronousTestCase):
    """It leaves nothing out, and invents nothing."""

    def schema(self, name: str, *members: str) -> dict[str, Any]:
        """Return a member of one of its schemas."""
        found = resolved({"$ref": f"#/components/schemas/{name}"})
        for member in members:
            found = resolved(found["properties"][member])
        return found

    def test_routes(self) -> None:
        """It has the routes and methods that Klein has."""
        rules = RegistryResource.app.url_map.iter_rules()
        routed = {
            (rule.rule.replace("<", "{").replace(">", "}"), method)
            for rule in rules
            for method in rule.methods or ()
            if method not in IMPLIED
        }
        self.assertEqual(routed, {(one.path, one.method) for one in operations()})

    def test_refusals(self) -> None:
        """It has every refusal of the source, and no others."""
        described = {refusal for one in operations() for refusal in one.refusals}
        self.assertEqual(refusals(), described | NO_ROUTE)

    def test_common_refusals(self) -> None:
        """Each operation has those of all, and of all with a document or a lease in that slot."""
        for one in operations():
            expected = set(ANYWHERE)
            body = one.described.get("requestBody", {}).get("content", {})
            expected |= IN_BODY if "application/jose" in body else set()
            expected |= IN_HEADER if "document" in one.security else set()
            expected |= SHOWING_LEASE if "lease" in one.security else set()
            self.assertEqual(expected - one.refusals, set(), one.name)

    def test_headers(self) -> None:
        """A refusal has the headers of its status, an answer with a body mustn't be stored."""
        for one in operations():
            for status, response in one.responses.items():
                header = HEADERS.get(status, "Cache-Control" if status in {200, 202} else "")
                self.assertEqual(set(response.get("headers", ())), {header} - {""}, one.name)

    def test_names(self) -> None:
        """Each operation has a name of its own, and links lead to operations."""
        names = [one.name for one in operations()]
        self.assertEqual(len(names), len(set(names)))
        links = [
            link
            for one in operations()
            for response in one.responses.values()
            for link in response.get("links", {}).values()
        ]
        linked = {link["operationId"] for link in links}
        self.assertEqual(linked - set(names), set())
        self.assertIn("open_events", linked)

    def test_events(self) -> None:
        """The events that are named are those of the table in the module that writes them."""
        source = Path(p2pchat.registry.__path__[0], "event_streams.py").read_text(encoding="utf-8")
        head = ast.get_docstring(ast.parse(source)) or ""
        named = [line.split()[1] for line in head.splitlines() if line.startswith("    event:")]
        self.assertEqual(named, list(EVENTS))
        operation = next(one for one in operations() if one.name == "open_events")
        schema = operation.responses[200]["content"]["text/event-stream"]["schema"]
        self.assertEqual(schema["properties"]["event"]["enum"], named)

    def test_limits(self) -> None:
        """Its limits are those of the code."""
        for one in operations():
            body = one.described.get("requestBody", {}).get("content", {})
            if signed := body.get("application/jose"):
                most = MAX_REGISTRATION if one.name == "register" else MAX_DOCUMENT
                self.assertEqual(signed["schema"]["maxLength"], most)
        (pages,) = (one for one in operations() if one.name == "list_peers")
        (limit,) = (one for one in pages.described["parameters"] if one.get("name") == "limit")
        self.assertEqual(limit["schema"]["maximum"], MAX_PAGE)
        self.assertEqual(self.schema("Page", "peers")["maxItems"], MAX_PAGE)
        self.assertEqual(self.schema("Record", "username")["maxLength"], MAX_USERNAME)
        self.assertEqual(self.schema("Record", "registration")["maxLength"], MAX_REGISTRATION)
        self.assertEqual(self.schema("Record", "nat")["maxLength"], MAX_LABEL)
        self.assertEqual(self.schema("PakeResponse", "card")["maxLength"], (4 * MAX_CARD + 2) // 3)
        self.assertEqual(self.schema("Nameplate", "expires_in")["maximum"], LONGEST)
        self.assertEqual(self.schema("Work", "difficulty")["maximum"], MAX_DIFFICULTY)

    def test_peer_ids(self) -> None:
        """What it takes for a peer id is what the registry takes for one."""
        pattern = re.compile(self.schema("PeerId")["pattern"])
        peer_id = identity(1).peer_id
        for text in (
            peer_id,
            peer_id.upper(),
            peer_id[:-1],
            "x" + peer_id,
            f"{peer_id[:14]}4{peer_id[15:]}",
        ):
            try:
                check_peer_id(text)
            except RemoteProtocolError:
                self.assertIsNone(pattern.search(text), text)
            else:
                self.assertIsNotNone(pattern.search(text), text)

    def test_served(self) -> None:
        """The route shows it whole, with this program's version."""
        response = Web().ask("GET", "/openapi.json")
        self.assertEqual(response.status, 200)
        info = {**DESCRIPTION["info"], "version": __version__}
        self.assertEqual(response.json, {**DESCRIPTION, "info": info})
