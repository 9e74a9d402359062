"""Log lines that programs read."""

from __future__ import annotations

import json
from io import StringIO

from twisted.logger import ILogObserver, Logger, LogPublisher, eventsFromJSONLogFile
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.tap.logs import json_lines
from tests.registry.process import running_registry


class JSONLinesTests(SynchronousTestCase):
    """The observer."""

    def setUp(self) -> None:
        self.file = StringIO()
        self.log = Logger(observer=LogPublisher(json_lines(self.file)))

    def test_interfaces(self) -> None:
        """What twistd gets is an observer."""
        self.assertTrue(verifyObject(ILogObserver, json_lines()))

    def test_line(self) -> None:
        """An event is one line, with its sentence and its fields."""
        self.log.info("two {what}\nlines", what="whole")
        (line,) = self.file.getvalue().splitlines()
        read = json.loads(line)
        self.assertEqual(read["message"], "two whole\nlines")
        self.assertEqual((read["what"], read["log_level"]["name"]), ("whole", "info"))

    def test_failure(self) -> None:
        """A failure is one line too, with its traceback; Twisted reads it back."""
        try:
            raise ValueError("wrong")
        except ValueError:
            self.log.failure("it failed", Failure())
        self.assertEqual(self.file.getvalue().count("\n"), 1)
        self.file.seek(0)
        (event,) = eventsFromJSONLogFile(self.file, recordSeparator="", bufferSize=1 << 16)
        self.assertIn("it failed\nTraceback", event["message"])
        self.assertIn("ValueError: wrong", event["message"])


class ProcessTests(SynchronousTestCase):
    """The real program."""

    def test_every_line(self) -> None:
        """All that ``twistd`` writes is JSON, from its first line on."""
        with running_registry(twistd=("--logger", "p2pchat.tap.logs.json_lines")) as registry:
            messages = [json.loads(line)["message"] for line in registry.said]
        self.assertTrue(any("The registry listens on" in one for one in messages), messages)
        self.assertGreater(len(messages), 1)
