"""Tests of :mod:`p2pchat.tap.node_options`; its options are tried with those of p2ppeer."""

from __future__ import annotations

import io
import os
from pathlib import Path

from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError
from p2pchat.tap.node_options import LOG_FILE, log_observer
from p2pchat.tap.p2ppeer import Options
from tests.tap.test_p2ppeer import parsed


class TtyIO(io.StringIO):
    """A terminal that keeps what is written."""

    def isatty(self) -> bool:
        return True


class LogObserverTests(SynchronousTestCase):
    """Log lines go where they disturb nobody."""

    def _logged(
        self, options: Options, stderr: io.StringIO, namespace: str = "p2pchat.peer"
    ) -> list[str]:
        """Return which levels can be read on stderr."""
        observer = log_observer(options, stderr)
        levels = (LogLevel.debug, LogLevel.info, LogLevel.warn, LogLevel.critical)
        for level in levels:
            event = {"log_level": level, "log_namespace": namespace, "log_format": level.name}
            observer(event)
        return [level.name for level in levels if f" {level.name}\n" in stderr.getvalue()]

    def test_stderr(self) -> None:
        """In a file, stderr gets warnings; on a terminal, only what is critical."""
        self.assertEqual(self._logged(parsed(), io.StringIO()), ["warn", "critical"])
        self.assertEqual(self._logged(parsed(), TtyIO()), ["critical"])

    def test_others(self) -> None:
        """Of the libraries' lines, a log file has warnings, not a line for each request."""
        path = self.mktemp()
        options = parsed("--log", path)
        self._logged(options, io.StringIO())
        self._logged(options, io.StringIO(), "twisted.web.client._HTTP11ClientFactory")
        text = Path(path).read_text(encoding="utf-8")
        self.assertEqual([text.count(f"] {word}") for word in ("debug", "info", "warn")], [0, 1, 2])

    def test_file(self) -> None:
        """--log goes before the state directory, and both before stderr."""
        directory = self.mktemp()
        os.mkdir(directory)
        path = os.path.join(directory, "own.log")
        self.assertEqual(self._logged(parsed("--state", directory), io.StringIO()), [])
        self._logged(parsed("--state", directory, "--log", path), io.StringIO())
        for name in (LOG_FILE, "own.log"):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                self.assertIn("critical", file.read())
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)

    def test_device(self) -> None:
        """A pipe or device is written to as it is; nothing changes its mode."""
        path = self.mktemp()
        os.mkfifo(path, 0o622)
        mode = os.stat(path).st_mode
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self._logged(parsed("--log", path), io.StringIO())
        self.assertIn(b"critical", os.read(reader, 1000))
        self.assertEqual(os.stat(path).st_mode, mode)

    def test_unwritable(self) -> None:
        """A log file that can't be opened is named."""
        options = parsed("--log", os.path.join(self.mktemp(), "no", "such.log"))
        error = self.assertRaises(ConfigurationError, log_observer, options, io.StringIO())
        self.assertIn("such.log", str(error))

    def test_nowhere(self) -> None:
        """Without a stderr nothing fails."""
        log_observer(parsed(), None)({"log_level": LogLevel.info, "log_format": "x"})
