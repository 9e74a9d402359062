"""
The habits of the house, as far as they can be read off the source: names, prose, errors, injected
surroundings, units, and what tests may do.

No file breaks a rule; each is also tried on lines that do.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache

from p2pchat import errors, interfaces
from tests.sources import Function, Rule, RuleCase, Source, source_at, sources

# No name of ours has one of these words: either anything can be one, or the field has a word.
BANNED_WORDS = frozenset(
    {"manager", "handler", "processor", "helper", "helpers", "util", "utils", "engine"}
    | {"told", "post", "toll", "verdict", "chronicle"}
)
# attrs and Twisted call these so, and the JSON of /why.
GIVEN_NAMES = frozenset({"__attrs_post_init__", "postOptions", "verdict"})
INDIRECT = frozenset(
    {"How", "What", "When", "Where", "Whether", "Which", "Who", "Whoever", "Whom", "Whose"}
)
INJECTED = frozenset({"clock", "now", "random", "random_bytes", "reactor", "runtime", "wall_time"})
TREE = {name for name, one in vars(errors).items() if isinstance(one, type)}
FROM_PEERS = {name for name in TREE if issubclass(vars(errors)[name], errors.RemoteProtocolError)}

SURROUNDINGS = frozenset({"fcntl", "os", "sys"})  # tests may play the system

STEM = "test_style"  # this file names what others should

# These tests are about real processes and servers, which take real time.
REAL_TIME = frozenset(
    {
        "tests/tap/command/test_share.py",
        "tests/tap/test_node_for.py",
        "tests/registry/store/redis_server.py",
        "tests/registry/store/test_redis.py",
        "tests/tap/test_daemon.py",
        "tests/tap/test_unread_pipe.py",
        "tests/traversal/test_turn_coturn.py",
    }
)


def words(name: str) -> set[str]:
    """Return the words of an identifier, in small letters."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def names(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """Return the names that a file gives."""
    yield source.tree, source.stem
    for node in source.nodes:
        if isinstance(node, Function | ast.ClassDef):
            yield node, node.name
        elif isinstance(node, ast.arg):
            yield node, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node, node.attr


def plain_words(source: Source) -> list[str]:
    """Names are the field's nouns, not words of our own, nor such as can mean anything."""
    found = {
        (name, word): source.at(node, f"{name}: {word} is not the field's word for it")
        for node, name in names(source)
        if name not in GIVEN_NAMES
        for word in words(name) & BANNED_WORDS
    }
    return list(found.values())


def noun_first(source: Source) -> list[str]:
    """Docstrings of modules and classes begin with the noun, not with an indirect question."""
    return [
        source.at(node, f"begins with {first!r}: say what it is, noun first")
        for node in source.nodes
        if isinstance(node, ast.Module | ast.ClassDef)
        if (first := (ast.get_docstring(node) or " ").split(" ")[0]) in INDIRECT
    ]


def error_tree(source: Source) -> list[str]:
    """Exceptions have one tree; those outside of its file have values of their layer with them."""
    return [
        source.at(node, f"{node.name} belongs below P2PChatError, best in errors.py")
        for node in source.classes
        if (bases := {ast.unparse(base) for base in node.bases}) and source.stem != "errors"
        if any(re.search("(Error|Exception|Exit)$", base) for base in bases) and not bases & TREE
    ]


def codecs_raise(source: Source) -> list[str]:
    """What a codec raises is our error for a peer's mistake, or for our own misuse."""
    allowed = FROM_PEERS | {"LocalProtocolError"}
    return [
        source.at(node, f"raises {ast.unparse(node.exc)[:60]}; codecs raise RemoteProtocolError")
        for node in source.nodes
        if isinstance(node, ast.Raise) and node.exc is not None
        if ast.unparse(node.exc).partition("(")[0] not in allowed
    ]


def injected(source: Source) -> list[str]:
    """Time, randomness and network are handed in, always: they have no default."""
    found = []
    for node in source.functions:
        given = node.args
        positional = [*given.posonlyargs, *given.args]
        defaults = positional[len(positional) - len(given.defaults) :] + [
            one for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default
        ]
        found += [
            source.at(one, f"{node.name}: {one.arg} has a default; whoever calls hands it in")
            for one in defaults
            if one.arg in INJECTED
        ]
    return found


def times_are_compared(source: Source) -> list[str]:
    """0.0 is a valid time: times are compared, with None too, never taken for true or false."""
    asked: list[ast.expr] = []
    for node in source.nodes:
        if isinstance(node, ast.If | ast.IfExp | ast.While):
            asked.append(node.test)
        elif isinstance(node, ast.BoolOp):
            asked += node.values
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            asked.append(node.operand)
    return [
        source.at(one, f"{ast.unparse(one)} may be 0.0: compare it with None")
        for one in asked
        if isinstance(one, ast.Name | ast.Attribute)
        if re.search(r"(^|\.)(now|when|deadline)$|_(at|until|since)$", ast.unparse(one))
    ]


def is_number(node: ast.expr) -> bool:
    """Tell whether this is a number, or an expression of numbers and names."""
    parts = list(ast.walk(node))
    kinds = ast.Constant | ast.BinOp | ast.UnaryOp | ast.Name | ast.Tuple
    constants = [one.value for one in parts if isinstance(one, ast.Constant)]
    return (
        all(isinstance(one, kinds | ast.operator | ast.unaryop | ast.expr_context) for one in parts)
        and all(type(value) in {int, float} for value in constants)
        and bool(constants)
    )


def units(source: Source) -> list[str]:
    """A number with a name says its unit, or where it comes from, beside it."""
    lines = source.text.splitlines()
    found = []
    for node in source.tree.body:
        if isinstance(node, ast.Assign) and is_number(node.value):
            name = ast.unparse(node.targets[0])
            near = lines[node.lineno - 2 : node.end_lineno]
            if name.strip("(_)").isupper() and not any("#" in line for line in near):
                found.append(source.at(node, f"{name}: of what?  Name unit or source in a comment"))
    return found


def constant_formats(source: Source) -> list[str]:
    """What is logged is a format and its fields, and addresses and keys stay at debug."""
    found = []
    for node in source.nodes:
        match node:
            case ast.Call(func=ast.Attribute(value=log, attr=level), args=[text, *_]):
                if not re.search(r"(^|\.)_log$", ast.unparse(log)) or level == "append":
                    continue
                if isinstance(text, ast.JoinedStr | ast.BinOp | ast.Call):
                    found.append(source.at(node, "a format and fields, no text made up here"))
                spoken = text.value if isinstance(text, ast.Constant) else ""
                if level != "debug" and re.search(r"\{\w*(addr|key|ip\b|peer_id)", str(spoken)):
                    found.append(source.at(node, f"addresses and keys are no {level}"))
    return found


class PackageTests(RuleCase):
    """The package keeps the habits."""

    def test_plain_words(self) -> None:
        """Names have the field's words."""
        self.check(plain_words, "p2pchat")

    def test_noun_first(self) -> None:
        """Docstrings say what a thing is."""
        self.check(noun_first, "p2pchat", "twisted")

    def test_one_meaning(self) -> None:
        """A class name means one thing in all the package; with an underscore, too."""
        found = defaultdict(list)
        for source in sources("p2pchat"):
            for node in source.classes:
                found[node.name.lstrip("_")].append(f"{source.path}:{node.lineno}")
        twice = {name: places for name, places in found.items() if len(places) > 1}
        del twice["Options"]  # twistd looks for it in the module of each command
        self.assertEqual(twice, {})

    def test_error_tree(self) -> None:
        """All exceptions are below P2PChatError."""
        self.check(error_tree, "p2pchat")

    def test_codecs_raise(self) -> None:
        """A stranger's bytes cause one kind of error."""
        self.check(codecs_raise, "p2pchat/wire")

    def test_injected(self) -> None:
        """Whoever makes a machine says where its time comes from."""
        self.check(injected, "p2pchat")

    def test_times_are_compared(self) -> None:
        """The clock may stand at 0.0."""
        self.check(times_are_compared, "p2pchat")

    def test_units(self) -> None:
        """Constants have units."""
        self.check(units, "p2pchat")

    def test_constant_formats(self) -> None:
        """Logs have fields, and give nobody away."""
        self.check(constant_formats, "p2pchat")


def used(node: ast.AST) -> set[str]:
    """Return the names that a function uses, every assertion as ``fail``."""
    found = set()
    for inside in ast.walk(node):
        name = getattr(inside, "attr", getattr(inside, "id", ""))
        is_assertion = isinstance(inside, ast.Assert) or re.search(
            "^assert|^AssertionError$|ResultOf$", name
        )
        found.add("fail" if is_assertion else name)
    return found


@cache
def asserting() -> frozenset[str]:
    """Return the names of functions of the tests that lead to an assertion."""
    uses: defaultdict[str, set[str]] = defaultdict(set)
    for source in sources("tests"):
        for node in source.functions:
            uses[node.name] |= used(node)
    found = {"fail"}
    while more := {name for name in uses.keys() - found if uses[name] & found}:
        found |= more
    return frozenset(found)


def tests(source: Source) -> Iterator[Function]:
    """Return the tests of a file."""
    return (node for node in source.functions if node.name.startswith("test_"))


def promises(source: Source) -> list[str]:
    """A test says in a sentence what it holds us to."""
    return [
        source.at(node, f"{node.name} states no promise: give it a docstring")
        for node in tests(source)
        if not ast.get_docstring(node)
    ]


def attributes(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """Return the dotted names that a file uses."""
    return ((node, ast.unparse(node)) for node in source.nodes if isinstance(node, ast.Attribute))


def no_sleep(source: Source) -> list[str]:
    """Tests wait for what happens, on a clock of their own, and replace nothing behind its back."""
    if source.path in REAL_TIME or source.path.startswith(("tests/lab/", "tests/cluster/")):
        return []
    return [
        source.at(node, f"{name}: hand in a clock, or a fake")
        for node, name in [*source.imports, *attributes(source)]
        if re.search(r"^time\.sleep$|\bmock\b", name)
    ] + [
        source.at(node, f"patches {ast.unparse(node.args[0])}: hand in a fake")
        for node in source.nodes
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "self.patch"
        if ast.unparse(node.args[0]) not in SURROUNDINGS
    ]


def can_fail(source: Source) -> list[str]:
    """A test comes to an assertion, its own or that of something it calls."""
    return [
        source.at(node, f"{node.name} asserts nothing: it can't fail")
        for node in tests(source)
        if not used(node) & asserting()
    ]


def no_private_state(source: Source) -> list[str]:
    """Tests use what everybody may use; what a file makes itself, it may touch."""
    own = {name for _, name in names(source)}
    found = [
        source.at(node, f"{ast.unparse(node)} is private: use what everybody may use")
        for node in source.nodes
        if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr)
        if node.attr not in own
    ]
    return found + [
        source.at(node, f"{name} is private: use what everybody may use")
        for node, name in source.imports
        if re.search(r"\._[a-z]\w*$", name) and name.startswith("p2pchat")
    ]


def own_cases(source: Source) -> list[str]:
    """Each case of a test has a setUp of its own: see :mod:`tests.cases`."""
    return [
        source.at(node, "a second setUp: make cases with tests.cases.each")
        for node in source.nodes
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "self.setUp"
    ]


def implementations(source: Source) -> Iterator[tuple[ast.ClassDef, str]]:
    """Return public classes, and fakes of our own interfaces, with the interface's name."""
    is_ours = source.path.startswith("p2pchat/")
    for node in source.tree.body:
        for decorator in getattr(node, "decorator_list", ()):
            match decorator:
                case ast.Call(func=ast.Name(id="implementer"), args=given):
                    assert isinstance(node, ast.ClassDef)
                    for name in map(ast.unparse, given):
                        if hasattr(interfaces, name) or (is_ours and not node.name.startswith("_")):
                            yield node, name


def verified(source: Source) -> list[str]:
    """What implements an interface is held to it by verifyObject, in a test of its own."""
    ours = list(implementations(source))
    if not ours:
        return []
    tests = [one for one in sources("tests") if "verifyObject(" in one.text and one.stem != STEM]
    mirror = [one for one in sources("tests") if one.stem in {f"test_{source.stem}", source.stem}]
    imports = " ".join(name for one in mirror for _, name in one.imports)
    found = []
    for node, interface in ours:
        near = [one for one in tests if re.search(rf"\b{interface}\b", one.text)]
        if not any(
            one in mirror or one.module in imports or node.name.lower() in one.text.lower()
            for one in near
        ):
            found.append(source.at(node, f"no test says verifyObject({interface}, ...) of it"))
    return found


class TestsTests(RuleCase):
    """The tests keep theirs."""

    def test_promises(self) -> None:
        """Every test has a docstring."""
        self.check(promises, "tests")

    def test_can_fail(self) -> None:
        """Every test asserts something."""
        self.check(can_fail, "tests")

    def test_no_sleep(self) -> None:
        """No test sleeps, patches or mocks, but for those of real processes."""
        self.check(no_sleep, "tests")
        for path in REAL_TIME:
            self.assertIn("sleep", source_at(path).text, f"{path} needs no exception any more")

    def test_no_private_state(self) -> None:
        """No test touches what is private."""
        self.check(no_private_state, "tests")

    def test_own_cases(self) -> None:
        """No test sets itself up twice."""
        self.check(own_cases, "tests")

    def test_verified(self) -> None:
        """Every implementer, every fake of the tests too, has its verifyObject."""
        self.check(verified, "p2pchat", "tests")


class RuleTests(RuleCase):
    """Each rule catches what it is there for, and lets the rest pass."""

    def assert_caught(self, rule: Rule, *broken: str, path: str = "p2pchat/wire/a.py") -> None:
        """Each of these texts breaks a rule once."""
        for text in broken:
            self.assertEqual(self.count(rule, path, text), 1, text)

    def assert_passes(self, rule: Rule, *kept: str, path: str = "p2pchat/wire/a.py") -> None:
        """These texts break no rule."""
        for text in kept:
            self.assertEqual(self.count(rule, path, text), 0, text)

    def test_names(self) -> None:
        """Words are found in the middle of names, not in the middle of words."""
        self.assert_caught(
            plain_words, "class PathManager: pass", "def f(helper): pass", "a.told = 1"
        )
        self.assert_caught(plain_words, "x = 1", path="p2pchat/wire/toll.py")
        self.assert_passes(plain_words, "class Postbox: pass", "def postOptions(self): pass")

    def test_prose(self) -> None:
        """A noun comes first in modules and classes; tests say what they promise."""
        self.assert_caught(noun_first, '"""What is kept."""', 'class A:\n    """Where it is."""')
        self.assert_passes(
            noun_first, '"""State of a path."""', 'def f():\n    """Whether it is."""'
        )
        self.assert_caught(promises, "class A:\n    def test_a(self): pass")
        self.assert_passes(promises, 'def test_a(self):\n    """It holds."""', "def f(): pass")

    def test_errors(self) -> None:
        """Exceptions of other files, and of codecs that are no RemoteProtocolError, are caught."""
        self.assert_caught(error_tree, "class A(ValueError): pass", "class B(Exception): pass")
        self.assert_passes(
            error_tree, "class A(B): pass", "class C(SystemExit, P2PChatError): pass"
        )
        self.assert_passes(error_tree, "class A(Exception): pass", path="p2pchat/errors.py")
        self.assert_caught(codecs_raise, "raise ValueError(1)", "raise RegistryError")
        self.assert_passes(codecs_raise, "raise NotJson(1) from None", "try: f()\nfinally: raise")

    def test_times(self) -> None:
        """Defaults of what is handed in, and times taken for truth, are caught."""
        self.assert_caught(injected, "def f(now=0.0): pass", "def f(*, clock=reactor): pass")
        self.assert_passes(injected, "def f(now, link=None): pass", "def f(*, now, x=1): pass")
        self.assert_caught(times_are_compared, "if a.lost_at: pass", "x = when or 1", "not now")
        self.assert_passes(times_are_compared, "if now is None: pass", "if format: pass")

    def test_units(self) -> None:
        """A bare number is caught; a word beside or above it is enough."""
        self.assert_caught(units, "LIMIT = 5", "LIMIT = 2 * SIZE", "A, B = 1, 2")
        self.assert_passes(units, "LIMIT = 5  # bytes", "# octets\nLIMIT = 5", "limit = 5", "A = B")

    def test_logs(self) -> None:
        """Texts made up, and addresses at more than debug, are caught."""
        self.assert_caught(constant_formats, '_log.info(f"{x}")', 'self._log.warn("{addr} left")')
        self.assert_passes(
            constant_formats, '_log.debug("{addr}", addr=x)', '_log.info("{n}", n=1)'
        )

    def test_tests(self) -> None:
        """Tests that sleep, patch, mock, can't fail, set up twice, or look inside are caught."""
        path = "tests/a.py"
        self.assert_caught(no_sleep, "time.sleep(1)", "import unittest.mock", path=path)
        self.assert_caught(no_sleep, "self.patch(link, 'X', 1)", path=path)
        self.assert_passes(no_sleep, "self.patch(os, 'environ', {})", "clock.advance(1)", path=path)
        self.assert_caught(can_fail, "def test_a(self):\n    self.unheard_of()", path=path)
        self.assert_passes(can_fail, "def test_a(self):\n    self.assertTrue(a())", path=path)
        self.assert_caught(own_cases, "self.setUp()", path=path)
        self.assert_passes(own_cases, "super().setUp()", path=path)
        self.assert_caught(no_private_state, "a._b", "from p2pchat.a import _b", path=path)
        self.assert_passes(no_private_state, "a.__doc__", "self._b = 1\nother._b", path=path)

    def test_implementations(self) -> None:
        """An implementation that no test verifies is caught, and a fake of our interfaces."""
        text = "@implementer({})\nclass Unheard: pass"
        self.assert_caught(verified, text.format("IPullProducer"))
        self.assert_caught(verified, text.format("ISignaling"), path="tests/unheard.py")
        self.assert_passes(verified, text.format("IPullProducer"), path="tests/unheard.py")
        self.assert_passes(verified, "class Unheard: pass")
