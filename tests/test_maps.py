"""The maps name every module: package docstrings, the design page, README and tests/README."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.sources import ROOT, Function, source_at, sources

PACKAGE = ROOT / "p2pchat"
ROW = re.compile(
    r"^[ │├└─]+(?:``)?(\w+)(?:``)?(?: {2,}| ── )", re.MULTILINE
)  # of a docstring's table


def text(path: str) -> str:
    """Return a file of the checkout."""
    return (ROOT / path).read_text(encoding="utf-8")


def members(folder: Path) -> set[str]:
    """Return the modules and packages right in a folder."""
    modules = {file.stem for file in folder.glob("*.py")} - {"__init__"}
    return modules | {file.parent.name for file in folder.glob("*/__init__.py")}


class PackageTests(SynchronousTestCase):
    """Whoever opens a folder reads what each file in it is for."""

    def test_docstrings(self) -> None:
        """The docstring of each package names what is in it, and nothing that has gone."""
        for source in sources("p2pchat"):
            if source.stem == "__init__":
                there = members((ROOT / source.path).parent)
                docstring = ast.get_docstring(source.tree) or ""
                self.assertEqual(there - set(re.findall(r"\w+", docstring)), set(), source.path)
                self.assertEqual(set(ROW.findall(docstring)) - there, set(), source.path)


class DesignTests(SynchronousTestCase):
    """Whoever changes something finds its place on the design page."""

    def setUp(self) -> None:
        self.named = set(re.findall(r"``([\w/]+(?:\.(?:json|py)|/))``", text("docs/design.rst")))

    def test_no_ghosts(self) -> None:
        """Each file that it names is there."""
        places = {
            name for name in self.named if (PACKAGE / name).exists() or (ROOT / name).exists()
        }
        self.assertEqual(self.named - places, set())

    def test_complete(self) -> None:
        """Each module is named, with its folder."""
        modules = {
            source.path.removeprefix("p2pchat/")
            for source in sources("p2pchat")
            if source.stem not in {"__init__", "__main__"}
        }
        named = {name.removeprefix("p2pchat/") for name in self.named}
        self.assertEqual(modules - named, set())


class WaysTests(SynchronousTestCase):
    """Whoever follows a datagram through the program has the functions that it passes."""

    def setUp(self) -> None:
        section = text("docs/design.rst").partition("Three ways through the program")[2]
        self.section = section.partition("Where a change goes")[0]

    def test_functions(self) -> None:
        """Each function that is named stands in the class and the file that are named."""
        named = re.findall(r"``(\w+)\.(\w+)``\s+in\s+``([\w/]+\.py)``", self.section)
        self.assertGreater(len(named), 40)
        for owner, name, path in named:
            (found,) = (one for one in source_at(f"p2pchat/{path}").classes if one.name == owner)
            methods = {one.name for one in found.body if isinstance(one, Function)}
            self.assertIn(name, methods, f"{owner} in {path}")

    def test_length(self) -> None:
        """The way of a datagram to a text stays as short as it is."""
        steps = self.section.partition("#. ")[2].partition("\n\n")[0].split("#. ")
        files = {re.findall(r"``([\w/]+\.py)``", step)[0] for step in steps}
        self.assertLessEqual(len(files), 13)
        self.assertLessEqual(sum("⇒" in step for step in steps), 3)


class ReadmeTests(SynchronousTestCase):
    """Whoever looks around for the first time knows what each folder is."""

    def test_folders(self) -> None:
        """README names each layer, and each folder beside the package."""
        readme = text("README.rst")
        layers = {f"``p2pchat/{file.parent.name}/``" for file in PACKAGE.glob("*/__init__.py")}
        others = {
            f"``{name}/``"
            for name in ("benchmarks", "docs", "newsfragments", "tests", "tests/cluster")
        } | {"``tests/lab/``", "``tests/simulation/``", "``twisted/plugins/``"}
        self.assertEqual([one for one in sorted(layers | others) if one not in readme], [])

    def test_pages(self) -> None:
        """It names each page of the documentation."""
        readme = text("README.rst")
        pages = {file.name for file in (ROOT / "docs").glob("*.rst")} - {"index.rst"}
        self.assertEqual([page for page in sorted(pages) if page not in readme], [])


class TestsTests(SynchronousTestCase):
    """Whoever writes a test finds the harness for it."""

    def test_harnesses(self) -> None:
        """tests/README names each, but for the parts of the largest three."""
        named = set(re.findall(r"``([\w/]+\.py|[\w]+/)``", text("tests/README.rst")))
        whole = ("tests/simulation/", "tests/lab/", "tests/cluster/")
        harnesses = {
            source.path.removeprefix("tests/")
            for source in sources("tests")
            if not source.stem.startswith(("test_", "__init__"))
            and not source.path.startswith(whole)
        }
        files = {name.removeprefix("tests/") for name in named}
        self.assertEqual(harnesses - files, set())
        ghosts = {
            name
            for name in named
            if not any((ROOT / place / name).exists() for place in ("", "tests"))
        }
        self.assertEqual(ghosts, set())
