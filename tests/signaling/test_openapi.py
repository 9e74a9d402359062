"""The description of the routes, and the routes."""

from __future__ import annotations

import ast
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import p2pchat.signaling
from p2pchat import __version__
from p2pchat.signaling import openapi
from p2pchat.signaling.resource import RegistryResource
from p2pchat.signaling.streams import EVENTS
from tests.signaling.web import Web

# What schemathesis can't cause: tests/openapi checks the rest against the running server.
IMPLIED = {"HEAD", "OPTIONS"}


def refusals() -> set[tuple[int, str]]:
    """Return the refusals in the registry's source: an HTTP error status, then a reason."""
    found = set()
    for file in Path(p2pchat.signaling.__path__[0]).glob("*.py"):
        if file.name == "openapi.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            given = node.args if isinstance(node, ast.Call) else getattr(node, "elts", [])
            match given[:2]:
                case [ast.Constant(value=int(status)), ast.Constant(value=str(reason))]:
                    found |= {(status, reason)} if 400 <= status < 600 else set()
    return found


class DescriptionTests(SynchronousTestCase):
    """It leaves nothing out, and invents nothing."""

    def test_routes(self) -> None:
        """It has the routes and methods that Klein has."""
        rules = RegistryResource.app.url_map.iter_rules()
        routed = {
            (rule.rule.replace("<", "{").replace(">", "}"), method)
            for rule in rules
            for method in rule.methods or ()
            if method not in IMPLIED
        }
        described = {(one.path, one.method) for one in openapi.OPERATIONS}
        self.assertEqual(routed, described)

    def test_refusals(self) -> None:
        """It has every refusal of the source, and no others."""
        described = {one for operation in openapi.OPERATIONS for one in operation.all_refusals()}
        self.assertEqual(refusals(), described | set(openapi.NO_ROUTE))

    def test_names(self) -> None:
        """Each operation has a name of its own, and links lead to operations."""
        names = [one.name for one in openapi.OPERATIONS]
        self.assertEqual(len(names), len(set(names)))
        linked = {name for one in openapi.OPERATIONS for name in one.links}
        self.assertEqual(linked - set(names), set())
        self.assertIn("open_events", linked)

    def test_events(self) -> None:
        """The events that are named are those of the table in the module that writes them."""
        source = Path(p2pchat.signaling.__path__[0], "streams.py").read_text(encoding="utf-8")
        head = ast.get_docstring(ast.parse(source)) or ""
        named = [line.split()[1] for line in head.splitlines() if line.startswith("    event:")]
        self.assertEqual(named, list(EVENTS))

    def test_served(self) -> None:
        """The route shows it whole, with this program's version."""
        response = Web().ask("GET", "/openapi.json")
        self.assertEqual(response.status, 200)
        self.assertEqual(response.json, openapi.describe(__version__))
