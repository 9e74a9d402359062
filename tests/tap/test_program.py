"""Tests of :mod:`p2pchat.tap.program`, as a process of its own with real sockets."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import __version__
from p2pchat.identity.keys import to_pem
from p2pchat.peer.files import replace_file
from p2pchat.peer.state_directory import IDENTITY_FILE
from p2pchat.tap.node_options import LOG_FILE

PATIENCE = 30  # seconds that a busy machine may need to import everything
NO_REGISTRY = ("--server", "http://127.0.0.1:1")


def environment() -> dict[str, str]:
    """Return an environment whose home directory is in the tests' own directory."""
    return {**os.environ, "HOME": os.path.abspath("home"), "XDG_STATE_HOME": ""}


def p2pchat(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run(
        [sys.executable, "-m", "p2pchat", *arguments],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class ProgramTests(SynchronousTestCase):
    """What can be seen without a registry."""

    def test_version(self) -> None:
        """Both programs tell the version."""
        for arguments in (["--version"], ["registry", "--version"]):
            done = p2pchat(*arguments)
            self.assertEqual((done.stdout, done.returncode), (f"p2pchat {__version__}\n", 0))

    def test_help(self) -> None:
        """Its own usage lines, and nothing of twistd."""
        for arguments, first in (
            ([], "Usage: p2pchat [options]\n       p2pchat registry [options]\n"),
            (["registry"], "Usage: p2pchat registry [options]\n"),
        ):
            done = p2pchat(*arguments, "--help")
            self.assertTrue(done.stdout.startswith(first), done.stdout)
            self.assertNotIn("twistd", done.stdout)
            self.assertEqual((done.stderr, done.returncode), ("", 0))

    def test_mistake(self) -> None:
        """A mistake is told by the name of the program, on stderr, with status 1."""
        for arguments, sentence in (
            (["--port", "x"], "p2pchat: --port: 'x' is no whole number"),
            (["registry", "--lease", "x"], "p2pchat registry: --lease: 'x' is no whole number"),
            (["bob"], "p2pchat: 'bob' is no option; options begin with --"),
        ):
            done = p2pchat(*arguments)
            self.assertEqual((done.stdout, done.returncode), ("", 1))
            self.assertTrue(done.stderr.startswith(f"{sentence}\n"), done.stderr)
            self.assertEqual(done.stderr.count("\n"), 2)

    def test_interrupt(self) -> None:
        """An interrupt while it starts ends it without a traceback; if ignored, it stays so."""
        code = (
            "import os, signal, sys, p2pchat.tap.program as program\n"
            "class Interrupt:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            "        if name == 'p2pchat.tap.runner':\n"
            "            os.kill(os.getpid(), signal.SIGINT)\n"
            "sys.meta_path.insert(0, Interrupt())\n"
            "program.main(['--version'])"
        )
        for setting, status in (("", -signal.SIGINT), ("signal.signal(2, signal.SIG_IGN)\n", 0)):
            done = subprocess.run(
                [sys.executable, "-c", f"import signal\n{setting}{code}"],
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            self.assertEqual((done.stderr, done.returncode), ("", status))

    def test_light(self) -> None:
        """What is imported before that is next to nothing."""
        code = "import sys, p2pchat.tap.program; print('twisted' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        self.assertEqual(done.stdout, b"False\n")


class NatTypeTests(SynchronousTestCase):
    """``--nat-type`` where nobody can be asked."""

    def test_nobody(self) -> None:
        """A registry that is away, or has no IPv4 address, is told; the status is 1."""
        for server, options, trouble in (
            ("http://127.0.0.1:1", (), "127.0.0.1:1"),
            ("http://[::1]:1", ("--stun-port", "3478"), "::1 has no IPv4 address"),
        ):
            done = p2pchat("--nat-type", "--json", "--server", server, *options)
            told = json.loads(done.stdout)
            self.assertIn(trouble, told["trouble"][0])
            self.assertEqual((told["meaning"], done.returncode), ("No STUN server was asked.", 1))


class TerminalTests(SynchronousTestCase):
    """The peer runs on a terminal, with a registry that is away."""

    def test_quit_signal(self) -> None:
        """Ctrl-\\ ends it as it ends any program, but leaves the terminal as it was."""
        ours, its = pty.openpty()
        self.addCleanup(os.close, ours)
        self.addCleanup(os.close, its)
        before = termios.tcgetattr(its)
        arguments = [sys.executable, "-m", "p2pchat", "--ephemeral", *NO_REGISTRY]
        process = subprocess.Popen(
            arguments,
            env={**environment(), "TERM": "xterm"},
            stdin=its,
            stdout=its,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        shown = b""
        while b"> " not in shown:
            shown += os.read(ours, 65536)
        self.assertNotEqual(termios.tcgetattr(its), before)
        process.send_signal(signal.SIGQUIT)
        self.assertEqual(process.wait(PATIENCE), -signal.SIGQUIT)
        self.assertEqual(termios.tcgetattr(its), before)

    def test_passphrase(self) -> None:
        """
        An encrypted identity asks without echo, three times at most, and gives the terminal back.
        """
        state = os.path.abspath(self.mktemp())
        os.mkdir(state, 0o700)
        pem = to_pem(Ed25519PrivateKey.generate(), b"correct horse")  # cheaply
        replace_file(Path(state, IDENTITY_FILE), pem)
        trials: tuple[tuple[list[bytes | int | None], int], ...] = (
            ([b"wrong\n", b"correct horse\n", None], 0),
            ([b"wrong\n", signal.SIGINT], -signal.SIGINT),
        )
        for typed, status in trials:
            ours, its = pty.openpty()
            before = termios.tcgetattr(its)
            shown, done = self.at_prompts(state, ours, its, typed)
            self.assertEqual(done, status, shown)
            self.assertEqual(termios.tcgetattr(its), before)
            self.assertIn(b"The passphrase is wrong", shown)
            for secret in (b"horse", b"Traceback"):
                self.assertNotIn(secret, shown)
            os.close(ours)
            os.close(its)

    def at_prompts(
        self, state: str, ours: int, its: int, typed: list[bytes | int | None]
    ) -> tuple[bytes, int]:
        """Start the program; type, or send a signal, at each prompt; ``None`` ends its input."""
        process = subprocess.Popen(
            [sys.executable, "-m", "p2pchat", "--json", "--state", state, *NO_REGISTRY],
            env=environment(),
            stdin=its,
            stdout=its,
            stderr=its,
            start_new_session=True,  # without a terminal of ours to ask on
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        shown = b""
        for answer in typed:
            prompt, seen = b"identity.pem: " if answer else b'"starting"', len(shown)
            while prompt not in shown[seen:]:
                shown += os.read(ours, 65536)
            if isinstance(answer, int):
                process.send_signal(answer)
            else:
                os.write(ours, answer or b"\x04")
        return shown, process.wait(PATIENCE)


class RunningTests(SynchronousTestCase):
    """The peer runs, with a registry that is away."""

    def setUp(self) -> None:
        self.state = os.path.abspath(self.mktemp())

    def start(self, *arguments: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        """Start a peer with JSON lines, and return it with its first event."""
        process = subprocess.Popen(
            [sys.executable, "-m", "p2pchat", "--json", *arguments],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        return process, json.loads(process.stdout.readline() or "{}")

    def test_kept(self) -> None:
        """Identity, name and registry are those of the last start, after a kill as well."""
        kept = ("--state", self.state)
        process, first = self.start(*kept, "--username", "carol", *NO_REGISTRY)
        self.assertEqual(first["event"], "starting")
        self.assertEqual(first["remembered"], ["identity", "username", "server"])
        self.assertEqual(first["state"], self.state)
        process.kill()
        process.wait(PATIENCE)
        _, second = self.start(*kept)
        names = ("peer_id", "username", "server", "state")
        self.assertEqual([second[name] for name in names], [first[name] for name in names])
        self.assertEqual(second["remembered"], [])

    def test_second(self) -> None:
        """What needs the directory for itself says who has it, and ends with status 1."""
        process, _ = self.start("--state", self.state, *NO_REGISTRY)
        done = p2pchat("--state", self.state, "--remove-passphrase")
        self.assertEqual((done.stdout, done.returncode), ("", 1))
        self.assertIn(f"p2pchat: state directory {self.state} is in use", done.stderr)
        self.assertIn(f"by process {process.pid}, since ", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)

    def test_ephemeral(self) -> None:
        """Nothing is kept where that is wished for."""
        _, told = self.start("--ephemeral", *NO_REGISTRY)
        self.assertEqual((told["state"], told["remembered"]), ("", []))

    def test_end(self) -> None:
        """The end of the input ends it, with status 0, a silent stderr and a log that tells it."""
        process, told = self.start("--state", self.state, *NO_REGISTRY)
        _, stderr = process.communicate(timeout=PATIENCE)
        self.assertEqual((stderr, process.returncode), ("", 0))
        with open(os.path.join(self.state, LOG_FILE), encoding="utf-8") as file:
            log = file.read()
        self.assertIn(f"p2pchat {__version__} starts: peer {told['peer_id']}", log)
        self.assertNotIn("Starting factory", log)

    def test_signals(self) -> None:
        """A signal ends it, and whoever started it learns by which."""
        for number in (signal.SIGINT, signal.SIGTERM):
            process, _ = self.start("--ephemeral", *NO_REGISTRY)
            process.send_signal(number)
            process.wait(PATIENCE)
            self.assertEqual(process.returncode, -number)

    def test_closed(self) -> None:
        """A closed stdin or stdout is told in a sentence."""
        for closing, name in (("<&-", "stdin"), (">&-", "stdout")):
            command = f'"$@" --ephemeral {closing}'
            done = subprocess.run(
                ["sh", "-c", command, "sh", sys.executable, "-m", "p2pchat"],
                env=environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            self.assertEqual(done.returncode, 1)
            self.assertTrue(done.stderr.startswith(f"p2pchat: {name} is closed: "), done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1)
