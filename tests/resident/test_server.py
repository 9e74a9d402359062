"""Tests of :mod:`p2pchat.resident.server`, with sockets of the system."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from typing import Any, cast

import attrs
from twisted.internet.testing import MemoryReactor

from p2pchat.attach.messages import ProgramHello, encode_hello
from p2pchat.attach.socket_path import SOCKET_FILE
from p2pchat.errors import ConfigurationError
from p2pchat.resident.server import MAX_PROGRAMS
from tests.resident.attached_case import AttachedCase, end, said


class ServerTests(AttachedCase):
    """The place where a node serves."""

    def setUp(self) -> None:
        super().setUp()
        self.directory = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(os.rmdir, self.directory)
        self.memory = MemoryReactor()
        self.runtime = attrs.evolve(self.runtime, reactor=cast(Any, self.memory))
        self.server = self.make_server(self.node)

    def test_start(self) -> None:
        """It serves in its directory, for its user alone, while others' umask is as it was."""
        before = os.umask(0o022)
        self.addCleanup(os.umask, before)
        path = self.server.start(self.directory, {})
        self.assertEqual(path, os.path.join(self.directory, SOCKET_FILE))
        ((address, _, _, mode, _),) = self.memory.unixServers
        self.assertEqual((address, mode), (path, 0o600))
        self.assertEqual(os.umask(0o022), 0o022)

    def test_stale(self) -> None:
        """What a killed program has left is removed, whatever it is now."""
        path = os.path.join(self.directory, SOCKET_FILE)
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        self.server.start(self.directory, {})
        self.assertFalse(os.path.lexists(path))
        os.symlink("/etc/passwd", path)
        self.server.start(self.directory, {})
        self.assertFalse(os.path.lexists(path))
        self.assertTrue(os.path.exists("/etc/passwd"))

    def test_long_path(self) -> None:
        """A directory with a long path has its socket in the user's runtime directory."""
        long = os.path.join(self.directory, "x" * 100)
        path = self.server.start(long, {"XDG_RUNTIME_DIR": self.directory})
        made = os.path.dirname(path)
        self.addCleanup(os.rmdir, made)
        self.assertEqual(stat.S_IMODE(os.stat(made).st_mode), 0o700)
        self.assertEqual(made, os.path.join(self.directory, "p2pchat"))

    def test_no_place(self) -> None:
        """Where there is none, or others could change it, a sentence says so."""
        os.chmod(self.directory, 0o777)
        self.assertRaises(ConfigurationError, self.server.start, self.directory, {})
        os.chmod(self.directory, 0o700)
        os.mkdir(os.path.join(self.directory, SOCKET_FILE))
        self.addCleanup(os.rmdir, os.path.join(self.directory, SOCKET_FILE))
        error = self.assertRaises(ConfigurationError, self.server.start, self.directory, {})
        self.assertIn("no socket for other programs", str(error))

    def test_full(self) -> None:
        """No more programs are attached than there may be; one that goes makes room."""
        programs = [self.attached("json")[0] for _ in range(MAX_PROGRAMS)]
        program, transport = self.connected()
        program.dataReceived(encode_hello(ProgramHello("1", (), ("json",))))
        self.assertEqual(said(transport)[0]["error"], "full")
        end(program)
        end(programs[0])
        self.attached("json")
        self.assertEqual(len(self.server.wants), MAX_PROGRAMS)

    def test_attended(self) -> None:
        """Somebody may be asked while a console or a program with the JSON interface is there."""
        self.assertFalse(self.server.is_attended)
        program, _ = self.attached("json")
        self.assertTrue(self.server.is_attended)
        end(program)
        self.assertFalse(self.server.is_attended)
