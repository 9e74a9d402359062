"""
What is installed: a wheel is built from the checkout, looked into, installed and used.

The wheel is built offline with the ``build`` and ``setuptools`` of the test extra.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import Parser
from functools import cache
from pathlib import Path
from zipfile import ZipFile

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import __version__

ROOT = Path(__file__).parent.parent
PLUGIN = "twisted/plugins/p2pchat_plugins.py"
DATA = {
    "p2pchat/peer/words.txt",
    "p2pchat/py.typed",
    "p2pchat/registry/http/openapi.json",
    "p2pchat/registry/mailbox/scripts.lua",
    "p2pchat/registry/store/scripts.lua",
}
ENTRY_POINT = "p2pchat = p2pchat.tap.program:main"

# What is no part of the project; .gitignore says the same.
NOT_OURS = shutil.ignore_patterns(
    ".*",
    "venv*",
    "build",
    "dist",
    "_build",
    "*.egg-info",
    "__pycache__",
    "_trial_temp*",
    "dropin.cache",
)

# Leaves out what else is installed of p2pchat in this environment, such as the checkout itself.
ISOLATE = """
import sys
root, target = {root!r}, {target!r}
sys.path = [target] + [one for one in sys.path if one not in {{"", root}}]
import p2pchat, twisted.plugins
assert p2pchat.__file__.startswith(target), p2pchat.__file__
plugins = target + "/twisted/plugins"
assert plugins in twisted.plugins.__path__, twisted.plugins.__path__
twisted.plugins.__path__[:] = [plugins]
"""

FIND_PLUGINS = """
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
for maker in getPlugins(IServiceMaker):
    if maker.module.startswith("p2pchat."):
        print(maker.tapname, maker.options.program)
"""

HEAVY = """
print(sorted({"klein", "twisted.internet.reactor", "p2pchat.peer.node"} & set(sys.modules)))
"""


def run(*command: str, cwd: str | None = None) -> str:
    """Run a program to its end and return what it wrote; its failure is the test's."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout


@contextmanager
def copied_checkout() -> Iterator[Path]:
    """Copy the project's files, so that building leaves nothing in the checkout."""
    with tempfile.TemporaryDirectory(prefix="p2pchat-packaging-") as directory:
        copy = Path(directory) / "checkout"
        shutil.copytree(ROOT, copy, ignore=NOT_OURS)
        yield copy


def kept_directory(purpose: str) -> str:
    """Make a directory that lasts as long as the tests do."""
    directory = tempfile.mkdtemp(prefix=f"p2pchat-{purpose}-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


@cache
def built_wheel() -> Path:
    """Build the wheel, once for all tests."""
    directory = kept_directory("wheel")
    with copied_checkout() as checkout:
        command = (sys.executable, "-m", "build", "--wheel", "--no-isolation")
        run(*command, "--outdir", directory, str(checkout))
    (wheel,) = Path(directory).glob("*.whl")
    return wheel


@cache
def installed() -> str:
    """Install a copy of the checkout into a directory of its own, once for all tests."""
    target = kept_directory("installed")
    with copied_checkout() as checkout:
        command = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
        run(*command, "--no-build-isolation", "--target", target, str(checkout))
    return target


class WheelTests(SynchronousTestCase):
    """The wheel has the package and the plugin, and nothing else."""

    def names(self) -> set[str]:
        """Return the files of the wheel."""
        with ZipFile(built_wheel()) as archive:
            return set(archive.namelist())

    def test_top_level(self) -> None:
        """Neither tests nor benchmarks nor docs come along."""
        info = f"p2pchat-{__version__}.dist-info"
        self.assertEqual(
            {name.split("/")[0] for name in self.names()}, {"p2pchat", "twisted", info}
        )

    def test_plugin(self) -> None:
        """Of Twisted's namespace there is the plugin file alone, and no ``__init__.py``."""
        self.assertEqual({name for name in self.names() if name.startswith("twisted/")}, {PLUGIN})

    def test_whole_package(self) -> None:
        """Every module of every subpackage is in, and the files that are no modules."""
        ours = {file.relative_to(ROOT).as_posix() for file in (ROOT / "p2pchat").rglob("*.py")}
        self.assertGreater(len(ours), 50)
        found = {name for name in self.names() if name.startswith("p2pchat/")}
        self.assertEqual(found, ours | DATA)

    def test_command(self) -> None:
        """Installers such as pipx find the program."""
        with ZipFile(built_wheel()) as archive:
            (name,) = (one for one in archive.namelist() if one.endswith("/entry_points.txt"))
            text = archive.read(name).decode("utf-8")
        self.assertEqual(text.split("\n")[:2], ["[console_scripts]", ENTRY_POINT])

    def test_metadata(self) -> None:
        """Version, licence and README are told."""
        with ZipFile(built_wheel()) as archive:
            (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
            metadata = Parser().parsestr(archive.read(name).decode("utf-8"))
        self.assertEqual(metadata["Name"], "p2pchat")
        self.assertEqual(metadata["Version"], __version__)
        self.assertEqual(metadata["Requires-Python"], ">=3.11")
        self.assertEqual(metadata["Description-Content-Type"], "text/x-rst")
        readme = (ROOT / "README.rst").read_text(encoding="utf-8")
        self.assertIn(readme.strip(), metadata.get_payload())
        self.assertTrue(any(name.endswith("/LICENSE") for name in self.names()))


class InstallationTests(SynchronousTestCase):
    """What is installed works, wherever the checkout is."""

    def python(self, code: str) -> str:
        """Run code where the installed package is the only p2pchat."""
        target = installed()
        isolated = ISOLATE.format(root=str(ROOT), target=target)
        return run(sys.executable, "-c", isolated + code, cwd=target)

    def test_plugins(self) -> None:
        """``twistd`` finds both commands, and their options."""
        found = self.python(FIND_PLUGINS).split()
        self.assertEqual(sorted(found), sorted(2 * ["p2pnode", "p2ppeer", "p2ppipe", "p2psignal"]))

    def test_program(self) -> None:
        """The program runs, without a look through the plugins."""
        code = "import sys\nfrom p2pchat.tap.program import main\n"
        version = self.python(code + "main(['--version'])")
        self.assertEqual(version, f"p2pchat {__version__}\n")
        unused = 'print("twisted.plugins.p2pchat_plugins" in sys.modules)'
        caught = f"try:\n    main(['--help'])\nexcept SystemExit:\n    {unused}"
        self.assertTrue(self.python(code + caught).endswith("False\n"))

    def test_light_plugin(self) -> None:
        """The plugin file, read at every ``twistd``, brings neither Klein nor a reactor along."""
        self.assertEqual(self.python("import twisted.plugins.p2pchat_plugins" + HEAVY), "[]\n")

    def test_light_options(self) -> None:
        """Nor do the modules of the options: twistd reads them before it chooses the reactor."""
        modules = ("p2psignal", "p2ppeer", "p2ppipe", "p2pnode")
        code = "".join(f"import p2pchat.tap.{one};" for one in modules) + HEAVY
        self.assertEqual(self.python(code), "[]\n")

    def test_check_is_not_vacuous(self) -> None:
        """What is heavy would be seen."""
        self.assertIn("klein", self.python("import p2pchat.registry.http.resource" + HEAVY))
