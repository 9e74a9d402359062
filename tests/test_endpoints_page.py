"""The page of endpoints: each of its examples does what it says, on streams in memory."""

from __future__ import annotations

import re
import shlex
import sys
from contextlib import redirect_stdout
from io import StringIO
from subprocess import run
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.usage import Options
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import NotGranted
from p2pchat.tap.p2p_endpoint import PeerServerEndpoint
from tests.cases import each
from tests.pages import ROOT, page
from tests.peer.test_services import ServicesCase


def example(words: str) -> dict[str, Any]:
    """Return the names that an example defines, the one after these words."""
    found = re.search(re.escape(words) + r"[^\n]*::\n\n((?:    [^\n]*\n|\n)+)", page("endpoints"))
    assert found is not None, words
    names: dict[str, Any] = {}
    exec(re.sub("^    ", "", found[1], flags=re.MULTILINE), names)
    return names


class PythonTests(ServicesCase):
    """Bob offers, Alice uses."""

    def offer(self, words: str) -> dict[str, Any]:
        """Let Bob offer what an example has."""
        names = example(words)
        self.successResultOf(names["offer"](self.bob.services))
        return names

    def result(self, deferred: Deferred[Any]) -> Any:
        """Let all be said, and return what came of it."""
        for _ in range(5):
            self.settle()
        return self.successResultOf(deferred)

    def test_own_protocol(self) -> None:
        """A line of one's own protocol, with the proved id of who asked."""
        self.offer("A line of your own protocol")
        printed = StringIO()
        with redirect_stdout(printed):
            self.result(example("Alice reads it")["use"](self.alice.services))
        self.assertEqual(printed.getvalue(), f"{self.alice.peer_id} asks: five to twelve\n")

    @each(("AMP, with an answer", {"total": 42}), ("Perspective Broker", "hello alice"))
    def test_calls(self, words: str, expected: object) -> None:
        """Calls are answered; a stranger gets nowhere."""
        names = self.offer(words)
        self.assertEqual(self.result(names["use"](self.alice.services)), expected)
        self.carol.contacts.keep(self.bob.peer_id, "bob")
        self.failureResultOf(names["use"](self.carol.services), NotGranted)

    def test_web(self) -> None:
        """Klein and treq."""
        self.offer("Klein, whose requests")
        answer = self.result(example("And treq for it")["use"](self.alice.services))
        self.assertEqual(answer, f"hello {self.alice.peer_id}".encode())
        self.clock.advance(120)


class CommandTests(ServicesCase):
    """Stock programs, as their own options read the strings of the page."""

    def command(self, beginning: str) -> list[str]:
        """Return the words of a command of the page."""
        found = re.search(
            rf"^    (?:twistd -n )?({beginning} .*)$", page("endpoints"), re.MULTILINE
        )
        assert found is not None
        return shlex.split(found[1])[1:]

    def service(self, options: Options, module: Any, arguments: list[str]) -> Any:
        """Return the service of a command that listens."""
        options.parseOptions(arguments)
        made = module.makeService(options)
        found = [one for one in (made, *getattr(made, "services", ())) if hasattr(one, "endpoint")]
        return found[0]

    def test_web(self) -> None:
        """``twistd web`` offers its site to those with a grant."""
        from twisted.web import tap  # noqa: PLC0415 - it imports a reactor

        arguments = [*self.command("web")[:-1], "."]
        made = self.service(tap.Options(), tap, arguments)
        self.assertIsInstance(made.endpoint, PeerServerEndpoint)
        self.assertEqual((made.endpoint.service, made.endpoint.allow), ("web", ()))
        offered = self.bob.services.listener_for("web").listen(made.factory)
        self.successResultOf(offered)

    def test_conch(self) -> None:
        """``twistd conch`` offers a shell to one contact."""
        from twisted.conch import tap  # noqa: PLC0415 - only where it is installed

        options = tap.Options()
        options.parseOptions(self.command("conch"))
        self.assertEqual(options["port"], "p2p:ssh:allow=bob")

    def test_daphne(self) -> None:
        """daphne serves an ASGI application to a contact, and tells it the proved id."""
        done = run(
            [sys.executable, "-m", "tests.daphne_program", *self.command("daphne")[:2]],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.stdout.strip(), f"200 client {self.alice.peer_id} 0", done.stderr)


class WordsTests(SynchronousTestCase):
    """The page names what a program meets."""

    def test_errors(self) -> None:
        """Each error of a connection is described."""
        text = page("endpoints")
        for name in ("NotGranted", "NoSuchContact", "PeerOffline", "NoPath", "LinkLost"):
            self.assertIn(f"``{name}``", text)
