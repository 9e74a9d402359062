"""
The rules that hold for every file, read off the source: which way imports point, what the pure
layers may touch, how long things are, what they are called, and that they say what they are.

Each rule is a function from a :class:`Source` to its violations; a violation names file, line and
what to do.  Each is also tried on a few lines that break it, so that none is vacuous.
"""

from __future__ import annotations

import ast
from statistics import median

from tests.sources import RuleCase, Source, length, public, source_at, sources

# Imports point down this list only; what shares a line never imports each other.
LAYERS = (
    {"demo", "__main__"},
    {"tap"},
    {"resident"},
    {"ui"},
    {"forwarding"},
    {"registry", "peer"},
    {"natcheck"},
    {"session"},
    {"traversal"},
    {"identity"},
    {"attach"},
    {"wire"},
    {"runtime"},
    {"rtnetlink"},
    {"host_addresses"},
    {"interfaces"},
    {"events"},
    {"errors"},
)
RANKS = {name: -rank for rank, names in enumerate(LAYERS) for name in names}

PURE_LAYERS = frozenset({"wire", "identity", "traversal", "session"})
PURE_MODULES = frozenset(
    f"p2pchat/registry/{name}.py"
    for name in (
        *("audiences", "refusals", "relay_credentials"),
        *("admission/load", "admission/proof_of_work", "admission/rates", "admission/solicited"),
        *("http/client_address", "http/connections", "stun/binding_server"),
        *("store/directory", "store/nameplate_table", "store/redis_scripts", "store/redis_url"),
    )
)
IMPURE = frozenset(
    {"asyncio", "importlib", "multiprocessing", "os", "pathlib", "random", "secrets", "select"}
    | {"selectors", "shutil", "signal", "socket", "subprocess", "tempfile", "threading", "time"}
    | {"twisted"}
)
IMPURE_CALLS = frozenset({"__import__", "input", "open", "print"})
CLOCK_READS = frozenset({"now", "today", "utcnow", "uuid1", "uuid4", "urandom"})

ONLY_IMPORTERS = {
    "qh3": "p2pchat/session/qh3_connection.py",
    "aioice": "p2pchat/wire/stun.py",
    "prometheus_client": "p2pchat/registry/metrics.py",
    "klein": "p2pchat/registry/http/resource.py",
    "werkzeug": "p2pchat/registry/http/resource.py",
    "stun": "p2pchat/natcheck/classic.py",  # pystun3
    "ifaddr": "p2pchat/runtime.py",
    "confusable_homoglyphs": "p2pchat/wire/usernames.py",
    "txredisapi": "p2pchat/registry/store/redis_link.py",
    "spake2": "p2pchat/identity/pairing.py",
    "cbor2": "p2pchat/wire/cbor.py",
    "segno": "p2pchat/ui/qr.py",
    "hiredis": "p2pchat/registry/store/redis_link.py",
}

MAX_FUNCTION = 60  # lines
MAX_FILE = 650  # lines
MAX_MEDIAN = 10  # lines of a function, over the package

BANNED_ENDINGS = ("manager", "handler", "processor", "helper", "helpers", "util", "utils")


def for_typing(source: Source) -> set[int]:
    """Return the ids of what stands under ``if TYPE_CHECKING``."""
    return {
        id(inside)
        for node in source.nodes
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inside in ast.walk(node)
    }


def imports_point_down(source: Source) -> list[str]:
    """
    No layer imports one above it, nor one beside it.

    The types of what passes a seam belong to the layers on its sides: interfaces name them.
    """
    found = []
    exempt = for_typing(source) if source.layer in {"interfaces"} else set()
    for node, name in source.imports:
        package, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if package != "p2pchat" or target not in RANKS or target == source.layer:
            continue
        if id(node) in exempt:
            continue
        rank = RANKS.get(source.layer)
        if rank is None or RANKS[target] >= rank:
            advice = "move what both need down to a layer below, or hand it in as an argument"
            found.append(source.at(node, f"{source.layer or 'p2pchat'} imports {target}; {advice}"))
    return found


def is_pure(source: Source) -> bool:
    """Tell whether a file must do without I/O, clock and randomness of its own."""
    return source.layer in PURE_LAYERS or source.path in PURE_MODULES


def http_is_the_top(source: Source) -> list[str]:
    """Nothing of the registry outside its HTTP imports that."""
    below = source.layer == "registry" and not source.path.startswith("p2pchat/registry/http/")
    advice = "the registry's HTTP stands on this: move what both need, or hand it in"
    return [
        source.at(node, f"imports {name}; {advice}")
        for node, name in source.imports
        if below and name.startswith("p2pchat.registry.http")
    ]


def pure_imports(source: Source) -> list[str]:
    """A pure file imports nothing that does I/O, tells the time or draws random numbers."""
    if not is_pure(source):
        return []
    advice = "this file is pure: take the time, bytes or randomness as an argument"
    return [
        source.at(node, f"imports {name}; {advice}")
        for node, name in source.imports
        if name.partition(".")[0] in IMPURE or name.startswith("p2pchat.runtime")
    ]


def pure_calls(source: Source) -> list[str]:
    """A pure file opens no file and reads no clock."""
    if not is_pure(source):
        return []
    found = []
    for node in source.nodes:
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        reads = isinstance(called, ast.Name) and called.id in IMPURE_CALLS
        if reads or (isinstance(called, ast.Attribute) and called.attr in CLOCK_READS):
            advice = "this file is pure: take what it gives as an argument"
            found.append(source.at(node, f"calls {ast.unparse(called)}(); {advice}"))
    return found


def one_importer(source: Source) -> list[str]:
    """A library with quirks is imported in the one file that knows them."""
    return [
        source.at(node, f"imports {name}; only {owner} may: use what that file offers")
        for node, name in source.imports
        if (owner := ONLY_IMPORTERS.get(name.partition(".")[0], source.path)) != source.path
    ]


def no_global_reactor(source: Source) -> list[str]:
    """Importing a module installs no reactor."""
    inside = {id(node) for function in source.functions for node in ast.walk(function)}
    return [
        source.at(node, "imports the reactor with the module; take it as an argument")
        for node, name in source.imports
        if name.startswith("twisted.internet.reactor") and id(node) not in inside
    ]


def short_functions(source: Source) -> list[str]:
    """No function is too long to be seen at once."""
    return [
        source.at(node, f"{node.name} has {length(node)} lines, {MAX_FUNCTION} allowed: split it")
        for node in source.functions
        if length(node) > MAX_FUNCTION
    ]


def short_files(source: Source) -> list[str]:
    """No file is too long to be known."""
    lines = len(source.text.splitlines())
    if lines <= MAX_FILE:
        return []
    return [f"{source.path}:{MAX_FILE}: {lines} lines, {MAX_FILE} allowed: split the file"]


def honest_names(source: Source) -> list[str]:
    """Names say what a thing is; a manager, handler or helper can be anything."""
    advice = "find the noun, best the RFC's, for what it is"
    found = []
    if source.stem.endswith(BANNED_ENDINGS):
        found.append(f"{source.path}:1: module {source.stem}; {advice}")
    return found + [
        source.at(node, f"class {node.name}; {advice}")
        for node in source.nodes
        if isinstance(node, ast.ClassDef) and node.name.lower().endswith(BANNED_ENDINGS)
    ]


def documented(source: Source) -> list[str]:
    """Every module, public class and public function says what it is for."""
    advice = "begin it with a docstring: one sentence that says what it promises"
    found = [] if ast.get_docstring(source.tree) else [f"{source.path}:1: no docstring; {advice}"]
    return found + [
        source.at(node, f"{node.name} has no docstring; {advice}")
        for node in public(source.tree.body)
        if not ast.get_docstring(node)
    ]


class PackageTests(RuleCase):
    """The package keeps the rules."""

    def test_every_layer_is_known(self) -> None:
        """A new folder or module has its place in LAYERS, and none there has gone."""
        found = {source.layer for source in sources("p2pchat")} - {""}
        self.assertEqual(found, set(RANKS), "tell LAYERS where it stands")

    def test_imports_point_down(self) -> None:
        """The layers import downwards only; registry and peer never import each other."""
        self.check(imports_point_down, "p2pchat")
        self.check(http_is_the_top, "p2pchat")

    def test_pure_imports(self) -> None:
        """Wire, identity, traversal and session import nothing impure."""
        self.check(pure_imports, "p2pchat")

    def test_pure_calls(self) -> None:
        """Nor do they open files or read clocks."""
        self.check(pure_calls, "p2pchat")

    def test_one_importer(self) -> None:
        """Each library with quirks has its one importer, which does import it."""
        self.check(one_importer, "p2pchat")
        for library, owner in ONLY_IMPORTERS.items():
            names = {name.partition(".")[0] for _, name in source_at(owner).imports}
            self.assertIn(library, names, f"{owner} no longer imports {library}: mend the table")

    def test_no_global_reactor(self) -> None:
        """No module takes the reactor from the air."""
        self.check(no_global_reactor, "p2pchat", "twisted")

    def test_sizes(self) -> None:
        """Functions and files, of the tests too, stay short."""
        self.check(short_functions, "p2pchat", "tests")
        self.check(short_files, "p2pchat", "tests")

    def test_median(self) -> None:
        """Half of the functions have ten lines or fewer."""
        lengths = [length(node) for source in sources("p2pchat") for node in source.functions]
        self.assertLessEqual(median(lengths), MAX_MEDIAN, "split the functions that do two things")

    def test_names(self) -> None:
        """Nothing is called after the fact that it does something."""
        self.check(honest_names, "p2pchat")

    def test_documented(self) -> None:
        """Everything public has a docstring."""
        self.check(documented, "p2pchat", "twisted")


ABOVE = "from p2pchat.peer import node"


class RuleTests(RuleCase):
    """Each rule catches what it is there for, and lets the rest pass."""

    def test_imports_point_down(self) -> None:
        """Upwards and sideways are caught, in every spelling; downwards is fine."""
        for path, text, count in (
            ("p2pchat/wire/a.py", "from p2pchat.identity.keys import Identity", 1),
            ("p2pchat/wire/a.py", "import p2pchat.peer.node", 1),
            ("p2pchat/wire/a.py", "from p2pchat import session", 1),
            ("p2pchat/wire/a.py", "from ..session import link", 1),
            ("p2pchat/wire/a.py", "def f():\n    from p2pchat.ui import ink", 1),
            ("p2pchat/peer/a.py", "from p2pchat.registry.registry import Registry", 1),
            ("p2pchat/registry/a.py", "from p2pchat.peer import node", 1),
            ("p2pchat/__init__.py", "from p2pchat.errors import P2PChatError", 1),
            ("p2pchat/errors.py", "import p2pchat.interfaces", 1),
            ("p2pchat/interfaces/node.py", ABOVE, 1),
            ("p2pchat/interfaces/node.py", f"if TYPE_CHECKING:\n    {ABOVE}", 0),
            ("p2pchat/wire/a.py", f"if TYPE_CHECKING:\n    {ABOVE}", 1),
            ("p2pchat/ui/a.py", "from p2pchat.peer import node", 0),
            ("p2pchat/wire/a.py", "from . import b\nfrom p2pchat import __version__", 0),
            ("p2pchat/wire/a.py", "import p2pchat.errors, attrs", 0),
        ):
            self.assertEqual(self.count(imports_point_down, path, text), count, (path, text))

    def test_http_is_the_top(self) -> None:
        """The registry's HTTP is imported by itself, and by what puts the services together."""
        text = "from p2pchat.registry.http.site import RegistrySite"
        for path, count in (("registry/store/a", 1), ("registry/http/a", 0), ("tap/a", 0)):
            self.assertEqual(self.count(http_is_the_top, f"p2pchat/{path}.py", text), count)

    def test_pure(self) -> None:
        """I/O, clocks and randomness are caught in pure files only."""
        for text in (
            "import socket",
            "import os.path",
            "from twisted.internet import defer",
            "from time import monotonic",
            "from p2pchat.runtime import Runtime",
            "from p2pchat import runtime",
        ):
            self.assertEqual(self.count(pure_imports, "p2pchat/session/a.py", text), 1, text)
            self.assertEqual(self.count(pure_imports, "p2pchat/peer/a.py", text), 0, text)
        for text in ("open('x')", "datetime.now()", "def f():\n    return uuid.uuid4()"):
            self.assertEqual(self.count(pure_calls, "p2pchat/wire/a.py", text), 1, text)
            self.assertEqual(self.count(pure_calls, "p2pchat/ui/a.py", text), 0, text)
        allowed = "from zope.interface import implementer\nimport automat\nself.now\nopens(1)"
        self.assertEqual(self.count(pure_imports, "p2pchat/session/a.py", allowed), 0)
        self.assertEqual(self.count(pure_calls, "p2pchat/session/a.py", allowed), 0)
        self.assertEqual(
            self.count(pure_imports, "p2pchat/registry/store/directory.py", "import time"), 1
        )

    def test_one_importer(self) -> None:
        """A library in another file than its own is caught."""
        text = "from qh3.quic.events import QuicEvent"
        self.assertEqual(self.count(one_importer, "p2pchat/session/link.py", text), 1)
        self.assertEqual(self.count(one_importer, "p2pchat/session/qh3_connection.py", text), 0)
        self.assertEqual(self.count(one_importer, "p2pchat/peer/a.py", "import stunning"), 0)

    def test_no_global_reactor(self) -> None:
        """The reactor may be imported inside a function only."""
        path, text = "p2pchat/peer/a.py", "from twisted.internet import reactor"
        self.assertEqual(self.count(no_global_reactor, path, text), 1)
        self.assertEqual(self.count(no_global_reactor, path, f"if True:\n    {text}"), 1)
        self.assertEqual(self.count(no_global_reactor, path, f"def f():\n    {text}"), 0)

    def test_sizes(self) -> None:
        """One line too many is caught."""
        function = "async def f():\n" + "    pass\n" * MAX_FUNCTION
        self.assertEqual(self.count(short_functions, "p2pchat/a.py", function), 1)
        shorter = function.replace("    pass\n", "", 1)
        self.assertEqual(self.count(short_functions, "p2pchat/a.py", shorter), 0)
        self.assertEqual(self.count(short_files, "tests/a.py", "\n" * (MAX_FILE + 1)), 1)
        self.assertEqual(self.count(short_files, "tests/a.py", "\n" * MAX_FILE), 0)

    def test_names(self) -> None:
        """Banned endings are caught in classes and modules."""
        self.assertEqual(self.count(honest_names, "p2pchat/a.py", "class PathManager: pass"), 1)
        self.assertEqual(self.count(honest_names, "p2pchat/wire/utils.py", "x = 1"), 1)
        self.assertEqual(self.count(honest_names, "p2pchat/a.py", "class Engine: pass"), 0)

    def test_documented(self) -> None:
        """What is public and silent is caught, methods too."""
        text = "def f(): pass\nclass C:\n    def g(self): pass\n    def _h(self): pass"
        self.assertEqual(self.count(documented, "p2pchat/a.py", text), 4)
        text = (
            '"""M."""\ndef f():\n    """F."""\n    def g(): pass\nclass _C:\n    def h(self): pass'
        )
        self.assertEqual(self.count(documented, "p2pchat/a.py", text), 0)
