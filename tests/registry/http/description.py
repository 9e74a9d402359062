"""What ``/openapi.json`` says, in the words of the tests: operations, and why each may refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

import p2pchat.registry.http
from p2pchat.wire.problems import CONTENT_TYPE, TYPE_PREFIX

Node = dict[str, Any]

DESCRIPTION: Node = json.loads(
    Path(p2pchat.registry.http.__path__[0], "openapi.json").read_text(encoding="utf-8")
)


def resolved(node: Node) -> Node:
    """Follow a reference, if it is one."""
    found: Any = DESCRIPTION
    for word in node.get("$ref", "").split("/")[1:]:
        found = found[word]
    return {**found, **node} if "$ref" in node else node


@attrs.frozen
class Operation:
    """One route with one method."""

    path: str
    method: str
    described: Node

    @property
    def name(self) -> str:
        """Its operationId."""
        return str(self.described["operationId"])

    @property
    def responses(self) -> dict[int, Node]:
        """Its responses by status."""
        said = self.described["responses"]
        return {int(status): resolved(response) for status, response in said.items()}

    @property
    def refusals(self) -> set[tuple[int, str]]:
        """The statuses and reasons with which it may refuse."""
        return {
            (status, kind.removeprefix(TYPE_PREFIX))
            for status, response in self.responses.items()
            if status >= 400
            for kind in response["content"][CONTENT_TYPE.decode()]["schema"]["properties"]["type"][
                "enum"
            ]
        }

    @property
    def security(self) -> set[str]:
        """What stands in ``Authorization``."""
        return {name for one in self.described.get("security", []) for name in one}


def operations() -> Iterator[Operation]:
    """Return them all."""
    for path, methods in DESCRIPTION["paths"].items():
        for method, described in methods.items():
            yield Operation(path, method.upper(), described)
