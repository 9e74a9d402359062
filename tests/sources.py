"""Source files of the checkout, as the rules of the house read them."""

from __future__ import annotations

import ast
import gc
from collections.abc import Callable, Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent

Function = ast.FunctionDef | ast.AsyncFunctionDef


@attrs.frozen
class Source:
    """
    One file.

    :ivar path: relative to the checkout, with slashes.
    """

    path: str
    text: str
    tree: ast.Module

    @classmethod
    def parse(cls, path: str, text: str) -> Source:
        """Read source text."""
        return cls(path, text, ast.parse(text, path))

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All nodes of the tree."""
        return tuple(ast.walk(self.tree))

    @property
    def layer(self) -> str:
        """The layer that this file belongs to; "" for the package's own ``__init__``."""
        parts = self.path.removesuffix(".py").split("/")
        return "" if parts[1] == "__init__" else parts[1]

    @property
    def module(self) -> str:
        """The module's dotted name."""
        return self.path.removesuffix(".py").replace("/", ".")

    @property
    def stem(self) -> str:
        """The module's own name."""
        return self.path.rpartition("/")[2].removesuffix(".py")

    @property
    def functions(self) -> Iterator[Function]:
        """Every function and method, nested ones included."""
        return (node for node in self.nodes if isinstance(node, Function))

    @property
    def classes(self) -> Iterator[ast.ClassDef]:
        """Every class, nested ones included."""
        return (node for node in self.nodes if isinstance(node, ast.ClassDef))

    @property
    def imports(self) -> Iterator[tuple[ast.AST, str]]:
        """The dotted names that are imported, wherever in the file, those in typing too."""
        package = self.path.removesuffix(".py").split("/")[:-1]
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for name in node.names:
                    yield node, name.name
            elif isinstance(node, ast.ImportFrom):
                above = package[: len(package) + 1 - node.level] if node.level else []
                base = ".".join([*above, *([node.module] if node.module else [])])
                for name in node.names:
                    yield node, f"{base}.{name.name}"

    def at(self, node: ast.AST, what: str) -> str:
        """Return a violation."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {what}"


Rule = Callable[[Source], list[str]]


@cache
def source_at(path: str) -> Source:
    """Read a file of the checkout, once for all rules."""
    return Source.parse(path, (ROOT / path).read_text(encoding="utf-8"))


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """Return the Python files below folders of the checkout."""
    files = [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]
    # A million nodes that stay: looking through them for garbage, time and again, takes four
    # times as long as reading them.
    gc.disable()
    try:
        return tuple(source_at(file.relative_to(ROOT).as_posix()) for file in files)
    finally:
        gc.enable()


def length(node: Function) -> int:
    """Return the lines of a function, without its decorators."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def public(body: Iterable[ast.stmt]) -> Iterator[Function | ast.ClassDef]:
    """Return the public functions, classes and methods of a body, but none inside functions."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node.body)


class RuleCase(SynchronousTestCase):
    """A test of the checkout, or of a rule by a few lines of source."""

    def count(self, rule: Rule, path: str, text: str) -> int:
        """Return how often a text breaks a rule; each violation names file and line."""
        found = rule(Source.parse(path, text))
        for violation in found:
            self.assertRegex(violation, rf"^{path}:[1-9][0-9]*: \S")
        return len(found)

    def check(self, rule: Rule, *folders: str) -> None:
        """Fail with every violation of a rule."""
        read = sources(*folders)
        self.assertTrue(read)
        found = [violation for source in read for violation in rule(source)]
        if found:
            self.fail("\n".join([f"{rule.__doc__}  {len(found)} violations:", *found]))
