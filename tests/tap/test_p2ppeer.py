"""Tests of :mod:`p2pchat.tap.p2ppeer`."""

from __future__ import annotations

import getpass
import io
import os
import sys
from pathlib import Path
from typing import Any

import attrs
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError
from p2pchat.peer.files import replace_file
from p2pchat.peer.old_files import SETTINGS_FILE
from p2pchat.peer.profile import load_profile, recall, remember
from p2pchat.peer.remembered import Remembered
from p2pchat.peer.settings import NodeSettings
from p2pchat.peer.state_directory import StateDirectory
from p2pchat.peer.storage.database import Synchronous
from p2pchat.session.approval import AcceptPolicy
from p2pchat.tap.p2ppeer import Options
from p2pchat.tap.runner import chat_options
from p2pchat.ui.notifications import Notify
from p2pchat.wire.invitations import Invitation

ALICE = ["--username", "alice"]


def parsed(*arguments: str, parent: Any = None) -> Options:
    """Return the options of a command line."""
    options = Options()
    options.parent = parent
    options.parseOptions([*ALICE, *arguments])
    return options


def remembering(path: Path, wanted: Remembered) -> None:
    """Start a program in a directory that remembers something."""
    directory = StateDirectory.open(str(path))
    try:
        remember(load_profile(directory, os.urandom), wanted)
    finally:
        directory.close()


class TtyIO(io.StringIO):
    """A terminal that keeps what is written."""

    def isatty(self) -> bool:
        return True


class OptionsTests(SynchronousTestCase):
    """Every value is checked before anything starts."""

    def test_defaults(self) -> None:
        """Without options the settings are the usual ones."""
        self.assertEqual(parsed().settings, NodeSettings("alice"))

    def test_all(self) -> None:
        """Every option has its effect."""
        line = "--server https://r.example/ --port 5000 --accept all --heartbeat 2.5 --retries 1"
        expected = NodeSettings(
            *("alice", "https://r.example", 5000, AcceptPolicy.ALL, 2.5, 1),
            publish_address=True,
        )
        self.assertEqual(parsed(*line.split(), "--publish-address").settings, expected)
        unlisted = attrs.evolve(expected, listed=False)
        words = (*line.split(), "--publish-address", "--unlisted")
        self.assertEqual(parsed(*words).settings, unlisted)
        self.assertEqual(parsed("--relay-only").settings, NodeSettings("alice", relay_only=True))
        self.assertEqual(parsed("--require-pq").settings, NodeSettings("alice", requires_pq=True))
        self.assertEqual(parsed("-s", "r.example:81").settings.server, "http://r.example:81")

    def test_synchronous(self) -> None:
        """Commits wait for the disk unless they needn't."""
        self.assertIs(parsed()["synchronous"], Synchronous.FULL)
        self.assertIs(parsed("--synchronous", "normal")["synchronous"], Synchronous.NORMAL)

    def test_notify(self) -> None:
        """A terminal notifies by all means, unless it is to be quieter."""
        self.assertIs(parsed()["notify"], Notify.ALL)
        self.assertIs(parsed("--notify", "none")["notify"], Notify.NONE)

    def test_on_message(self) -> None:
        """A command is words, the first of them a program; no shell reads it."""
        self.assertIsNone(parsed()["on-message"])
        words = parsed("--on-message", "sh -c 'cat > \"$HOME/x\"' *")["on-message"]
        self.assertEqual(words, ["sh", "-c", 'cat > "$HOME/x"', "*"])

    def test_keep(self) -> None:
        """What was said is kept for ever, or for some days."""
        self.assertIsNone(parsed().settings.keep)
        self.assertEqual(parsed("--keep", "30").settings.keep, 30.0)

    def test_login_name(self) -> None:
        """Without a name the login name is taken."""
        options = Options()
        options.parseOptions([])
        self.assertEqual(options.settings.username, getpass.getuser())

    def test_wrong_values(self) -> None:
        """A wrong value is named, in one line."""
        for arguments, part in (
            (["--port", "65536"], "--port must be from 0 to 65535"),
            (["--port", "x"], "--port: 'x' is no whole number"),
            (["--heartbeat", "nan"], "--heartbeat must be from 1"),
            (["--heartbeat", "soon"], "--heartbeat: 'soon' is no number"),
            (["--retries", "0"], "--retries must be from 1"),
            (["--stun-port", "0"], "--stun-port must be"),
            (["--accept", "some"], "--accept: 'some' is none of ask, all, contacts"),
            (["--server", "http://r.example/sub/path"], "--server: "),
            (["--server", "http://r.example?x=1"], "--server: "),
            (["--server", "http://r.example:0"], "--server: "),
            (["--username", " "], "a username has 1 to 64"),
            (["--username", "x" * 65], "a username has 1 to 64"),
            (["--relay-only", "--publish-address"], "--relay-only and --publish-address exclude"),
            (["--connect", ""], "--connect needs a value"),
            (["--state", " "], "--state needs a value"),
            (["--keep", "0"], "--keep"),
            (["--synchronous", "off"], "'off' is neither full nor normal"),
            (["--notify", "loud"], "--notify: 'loud' is none of all, bell, none"),
            (["--on-message", " "], "--on-message needs a value"),
            (["--on-message", "sh 'x"], "can't be split into words (No closing quotation)"),
            (["--on-message", "nothing-like-it x"], "no program 'nothing-like-it'"),
            (["--log", ""], "--log needs a value"),
            (["--state=~nobody-here/x"], "the home of nobody-here, which is unknown"),
            (["--profile", "../x"], "--profile: '../x' is no name"),
            (["--profile", ""], "--profile: '' is no name"),
            (["--state", "x", "--ephemeral"], "--state and --ephemeral exclude each other"),
            (["--state", "x", "--profile", "y"], "--state and --profile exclude each other"),
            (["--proxy", "https://proxy.example"], "--proxy: a proxy of https:// can't be used"),
            (["what"], "'what' is no option"),
        ):
            error = self.assertRaises(usage.UsageError, parsed, *arguments)
            self.assertIn(part, str(error))
            self.assertNotIn("\n", str(error))

    def test_unusable_proxy(self) -> None:
        """A proxy of the environment is refused where the registry would be reached through it."""
        self.patch(os, "environ", {"HTTPS_PROXY": "https://proxy.example"})
        error = self.assertRaises(usage.UsageError, parsed, "--server", "https://r.example")
        self.assertIn("HTTPS_PROXY: a proxy of https:// can't be used", str(error))
        for server in ("http://r.example", "https://localhost", "http://127.0.0.1:8000"):
            parsed("--server", server)

    def test_twistd(self) -> None:
        """The peer stays on its terminal, and leaves no file that another would stumble over."""
        parent = {"pidfile": "twistd.pid", "nodaemon": 0}
        parsed(parent=parent)
        self.assertEqual(parent, {"pidfile": "", "nodaemon": True})
        chosen = {"pidfile": "/run/peer.pid", "nodaemon": 1}
        parsed(parent=chosen)
        self.assertEqual(chosen["pidfile"], "/run/peer.pid")

    def test_state(self) -> None:
        """State is kept where one asks for it; without a word, only where that is the custom."""
        home = os.path.abspath(self.mktemp())
        self.patch(os, "environ", {"HOME": home, "XDG_STATE_HOME": f"{home}/state"})
        self.assertIsNone(parsed()["state"])
        self.assertEqual(parsed("--state=~/x")["state"], f"{home}/x")
        self.assertEqual(parsed("--log=~/x.log")["log"], f"{home}/x.log")
        self.assertEqual(parsed("--profile", "work")["state"], f"{home}/state/p2pchat/work")
        for arguments, directory in (
            ([], f"{home}/state/p2pchat/default"),
            (["--profile", "work"], f"{home}/state/p2pchat/work"),
            (["--state", "x"], "x"),
            (["--ephemeral"], None),
        ):
            options = chat_options()
            options.parseOptions([*ALICE, *arguments])
            self.assertEqual(options["state"], directory)
        self.assertFalse(os.path.exists(home))

    def test_remembered(self) -> None:
        """Name and registry are those of the last time, unless they are given."""
        directory = Path(self.mktemp())
        directory.mkdir(mode=0o700)
        remembering(directory, Remembered("carol", "https://r.example"))
        options = Options()
        options.parseOptions(["--state", str(directory)])
        expected = NodeSettings("carol", "https://r.example")
        self.assertEqual(options.settings, expected)
        self.assertEqual(options.to_remember(), Remembered("carol", ""))
        given = parsed("--state", str(directory), "--server", "http://other.example/")
        self.assertEqual(given.settings, NodeSettings("alice", "http://other.example"))
        self.assertEqual(given.to_remember(), Remembered("alice", "http://other.example"))

    def test_several_registries(self) -> None:
        """All that are given count, and no others; else those of the last time."""
        directory = Path(self.mktemp())
        directory.mkdir(mode=0o700)
        first, second = "http://a.example", "http://b.example"
        given = parsed("--state", str(directory), "--server", "a.example", "-s", f"{second}/")
        self.assertEqual((given.settings.server, list(given.further_servers)), (first, [second]))
        self.assertEqual(given.to_remember(), Remembered("alice", first, (second,)))
        remembering(directory, given.to_remember())
        again = parsed("--state", str(directory))
        self.assertEqual((again.settings.server, list(again.further_servers)), (first, [second]))
        self.assertEqual(again.to_remember(), Remembered("alice"))
        only = parsed("--state", str(directory), "--server", second)
        self.assertEqual((only.settings.server, list(only.further_servers)), (second, []))
        remembering(directory, only.to_remember())
        self.assertEqual(recall(directory), Remembered("alice", second))

    def test_too_many_registries(self) -> None:
        """A sixth, the same twice, and what is no URL are refused with a sentence."""
        for urls, why in (
            ([f"r{number}.example" for number in range(6)], "may be at 5 registries"),
            (["http://a.example", "HTTP://A.example:80/"], "the same registry's"),
            (["a.example", "http://b.example/path"], "more than a scheme, a host and a port"),
            (["a.example", "ftp://b.example"], "must begin with http"),
            (["a.example", "x" * 300], ""),
        ):
            line = [part for url in urls for part in ("--server", url)]
            error = self.assertRaises(usage.UsageError, parsed, *line)
            self.assertIn("--server", str(error))
            self.assertIn(why, str(error))

    def test_broken_settings(self) -> None:
        """A file that can't be understood is named."""
        directory = Path(self.mktemp())
        directory.mkdir(mode=0o700)
        replace_file(directory / SETTINGS_FILE, b"{")
        error = self.assertRaises(ConfigurationError, parsed, "--state", str(directory))
        self.assertIn(f"{directory / SETTINGS_FILE}: not a JSON document", str(error))

    def invitation(self, server: str = "https://r.example") -> str:
        """Return a file with an invitation for a registry, among other words."""
        path = str(self.mktemp())
        Path(path).write_text(f"Hi! {Invitation.link(server, bytes(24))}\n")
        return path

    def test_join_file(self) -> None:
        """The invitation names the registry, which is kept; nothing else is needed."""
        options = parsed("--join-file", self.invitation())
        self.assertEqual(options.settings.server, "https://r.example")
        self.assertIn("p2pchat:join/", options.invitation)
        self.assertEqual(options.to_remember(), Remembered("alice", "https://r.example"))
        same = parsed("--join-file", self.invitation(), "--server", "https://R.example:443")
        self.assertEqual(same.to_remember().server, "https://R.example:443")
        state = self.mktemp()
        os.mkdir(state, 0o700)
        remembering(Path(state), Remembered("alice", "https://r.example"))
        kept = parsed("--join-file", self.invitation("https://s.example"), "--state", state)
        self.assertEqual(kept.settings.server, "https://r.example")
        self.assertEqual(kept.to_remember().server, "")

    def test_join_file_refused(self) -> None:
        """A damaged line, and a file that isn't there, are said at once."""
        damaged = self.mktemp()
        Path(damaged).write_text(Path(self.invitation()).read_text().replace("@", "a@"))
        for arguments, why in (
            (("--join-file", damaged), "damaged"),
            (("--join-file", "/nowhere/at/all"), "No such file"),
            (("--join-file", self.invitation(), "--join"), "exclude each other"),
        ):
            with self.assertRaises(usage.UsageError) as caught:
                parsed(*arguments)
            self.assertIn(why, str(caught.exception))

    def test_join_asks(self) -> None:
        """--join asks on a terminal, and nowhere else."""
        self.patch(sys, "stdin", io.StringIO())
        self.assertRaises(usage.UsageError, parsed, "--join")
        self.patch(sys, "stdin", TtyIO())
        asked = str(Invitation.link("https://r.example", bytes(24)))
        options = Options()
        options.ask = lambda _prompt: asked
        options.parseOptions([*ALICE, "--join"])
        self.assertEqual(options.settings.server, "https://r.example")

    def test_passphrases(self) -> None:
        """Passphrases are read from files of ours, and shown nowhere."""
        state, old, new = self.mktemp(), self.mktemp(), self.mktemp()
        for path in (old, new):
            replace_file(Path(path), f"in {path}\n".encode())
        words = ("--set-passphrase", "--passphrase-file", old, "--new-passphrase-file", new)
        source = parsed("--state", state, *words).passphrases
        self.assertEqual((source.given, source.new), (f"in {old}".encode(), f"in {new}".encode()))
        self.assertEqual(parsed("--state", state).passphrases.given, b"")

    def test_passphrases_refused(self) -> None:
        """Options about the passphrase that don't go together are named."""
        state = ("--state", self.mktemp())
        for arguments, why in (
            (("--set-passphrase",), "--set-passphrase needs --state"),
            (("--passphrase-file", "x", "--ephemeral"), "--passphrase-file needs --state"),
            ((*state, "--set-passphrase", "--remove-passphrase"), "exclude each other"),
            ((*state, "--set-passphrase", "--json"), "--set-passphrase and --json exclude"),
            ((*state, "--new-passphrase-file", "x"), "needs --set-passphrase"),
            ((*state, "--remove-passphrase", "--new-passphrase-file", "x"), "exclude each other"),
            ((*state, "--passphrase-file", ""), "--passphrase-file needs a value"),
        ):
            error = self.assertRaises(usage.UsageError, parsed, *arguments)
            self.assertIn(why, str(error))
        missing = (*state, "--passphrase-file", "/nowhere/at/all")
        error = self.assertRaises(ConfigurationError, parsed, *missing)
        self.assertIn("/nowhere/at/all: there is no such file", str(error))

    def test_own_logging(self) -> None:
        """What twistd was told about logging counts."""
        self.assertFalse(parsed().has_own_logging)
        self.assertFalse(parsed(parent={"logfile": None, "logger": None}).has_own_logging)
        self.assertTrue(parsed(parent={"logfile": "x.log"}).has_own_logging)
        self.assertTrue(parsed(parent={"syslog": 1}).has_own_logging)
