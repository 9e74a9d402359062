"""What happened with one peer."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.session.connection_log import MAX_NOTES, MAX_PATHS, ConnectionLog, describe_path
from p2pchat.session.connection_report import ConnectionReport, Note
from p2pchat.traversal.link_proof import Fitness
from p2pchat.traversal.pairs import Path
from p2pchat.traversal.relays import Relays
from p2pchat.traversal.routes import Route
from p2pchat.wire.documents import CandidateType

PATH = Path(("203.0.113.1", 5), CandidateType.HOST, CandidateType.SERVER_REFLEXIVE, 0.0123)


class EventTests(SynchronousTestCase):
    """Events come out in the order they happened."""

    def setUp(self) -> None:
        self.happened: list[events.SessionEvent] = []
        self.log = ConnectionLog("id", "bob", self.happened.append, began=10.0)

    def events(self) -> list[events.SessionEvent]:
        """Return the events since the last time."""
        found = list(self.happened)
        self.happened.clear()
        return found

    def test_order(self) -> None:
        """Milliseconds count from the beginning of the call."""
        self.log.happened(events.Calling, 1, 3)
        self.log.path_found(PATH, 10.5)
        self.log.connected(False, "X25519", 10.6)
        self.assertEqual(
            self.events(),
            [
                events.Calling("id", "bob", 1, 3),
                events.PathFound("id", "bob", "host", "srflx", "203.0.113.1:5", 500.0, 12.3),
                events.Connected("id", "bob", 600.0, False, key_exchange="X25519"),
            ],
        )

    def packets(self, path: Path = PATH, unfit: Route | None = None) -> str:
        """Return what is told of packets as a connection comes about on this path."""
        if unfit is not None:
            self.log.pair_unfit(unfit, Fitness.TOO_SMALL, 10.0)
        self.log.path_found(path, 10.5)
        self.log.connected(False, "X25519", 10.6)
        connected = self.events()[-1]
        assert isinstance(connected, events.Connected)
        return connected.packets

    def test_packets(self) -> None:
        """A connection says whether they go in fragments, or by a relay because of their size."""
        relayed, small = attrs.evolve(PATH, remote=CandidateType.RELAYED), Route(PATH.address)
        self.assertEqual(self.packets(attrs.evolve(PATH, is_fragmented=True)), "fragmented")
        self.assertEqual((self.packets(), self.packets(relayed)), ("", ""))
        self.assertEqual(self.packets(relayed, Route(PATH.address, "relay/1")), "")
        self.assertEqual((self.packets(relayed, small), self.packets(relayed)), ("too-small",) * 2)
        self.assertEqual((self.packets(), self.packets(relayed)), ("", ""))
        self.packets(relayed, small)
        self.log.begin(20.0)
        self.assertEqual(self.packets(relayed), "")

    def test_lost_path(self) -> None:
        """From a lost path on they count from the loss."""
        self.log.connected(False, "X25519", 11.0)
        self.log.path_lost("silence", 20.0)
        self.log.connected(True, "X25519", 21.0)
        connected = self.events()[-1]
        assert isinstance(connected, events.Connected)
        self.assertEqual((connected.milliseconds, connected.resumed), (1000.0, True))

    def test_path(self) -> None:
        """A path is described by its types, its address and its time."""
        self.assertEqual(describe_path(PATH), "host to srflx 203.0.113.1:5, 12.3 ms")


class ReportTests(SynchronousTestCase):
    """What is kept for ``/why``."""

    def setUp(self) -> None:
        self.log = ConnectionLog("id", "bob", lambda _event: None)
        self.relays = Relays(bytes)

    def report(self, has_path: bool = True) -> ConnectionReport:
        """Return the report, with no attempt running."""
        return self.log.report((), self.relays, has_path, False, 0.0)

    def test_kept(self) -> None:
        """Notes and paths are kept in order, with the time since the call began."""
        self.log.begin(10.0)
        self.log.note("one", 10.5)
        self.log.path_found(PATH, 11.0)
        report = self.report()
        self.assertEqual(report.notes, (Note(500.0, "one"),))
        self.assertEqual([one.milliseconds for one in report.paths], [1000.0])
        self.assertEqual((report.path, self.report(False).path), (report.paths[0], None))

    def test_next_call(self) -> None:
        """The next call begins an empty report."""
        self.log.begin(10.0)
        self.log.note("one", 10.5)
        self.log.path_found(PATH, 11.0)
        self.log.begin(20.0)
        self.assertEqual(self.report(), ConnectionReport())

    def test_bound(self) -> None:
        """Of too many things the last are kept."""
        for number in range(3 * MAX_NOTES):
            self.log.note(str(number), 1.0)
            self.log.path_found(PATH, 1.0)
        report = self.report()
        self.assertEqual((len(report.notes), len(report.paths)), (MAX_NOTES, MAX_PATHS))
        self.assertEqual(report.notes[-1].text, str(3 * MAX_NOTES - 1))
