"""How a conversation judges silence."""

from __future__ import annotations

from p2pchat.session.control import Answered, AnswerOverdue, PeerSilent
from p2pchat.session.liveness import MAX_SUSPICION, SILENT_BEATS, SUSPICION
from p2pchat.wire.messages import Pong
from tests.session.conversing import NOW, WALL, ConversationCase, hear, of, receipt, sent, told


class SilenceTests(ConversationCase):
    """How long nothing may come before something is done."""

    def setUp(self) -> None:
        super().setUp()
        self.opened()

    def suspicions(self, until: float) -> list[float]:
        """Let Alice's timer run until some time; returns when she suspected the path."""
        found = []
        while (due := self.alice.get_timer()) is not None and due <= until:
            self.alice.handle_timer(due)
            if of(AnswerOverdue, told(self.alice)):
                found.append(round(due - NOW, 6))
        return found

    def test_heartbeat(self) -> None:
        """A PING is answered, which is told and measured; nothing is suspected."""
        self.alice.beat(NOW)
        (ping,) = sent(self.alice, NOW)
        hear(self.bob, ping, NOW + 0.1)
        (pong,) = sent(self.bob, NOW + 0.1)
        hear(self.alice, pong, NOW + 0.2)
        self.assertEqual(told(self.alice), [Answered()])
        self.assertAlmostEqual(self.alice.rtt, 0.2)
        self.assertIsNone(self.alice.get_timer())

    def test_rtt_is_smoothed(self) -> None:
        """One slow answer among fast ones moves the average by an eighth."""
        for number, rtt in ((1, 0.1), (2, 0.3)):
            self.ask(number, rtt)
        self.assertAlmostEqual(self.alice.rtt, 0.125)

    def ask(self, number: int, rtt: float, now: float = NOW) -> None:
        """Let a heartbeat be answered."""
        self.alice.beat(now)
        sent(self.alice, now)
        hear(self.alice, Pong(number), now + rtt)

    def test_rtt_of_a_pause(self) -> None:
        """What was under way while somebody slept measures nothing, whoever noticed it."""
        self.ask(1, 0.1)
        for text in ("one", "two"):
            self.alice.say(text, WALL, NOW)
        self.alice.beat(NOW)
        sent(self.alice, NOW)
        self.suspicions(NOW + 20)
        for message in (receipt(self.alice, 1), Pong(2), receipt(self.alice, 2)):
            hear(self.alice, message, NOW + 60)
        self.assertAlmostEqual(self.alice.rtt, 0.1)
        self.ask(3, 0.1, NOW + 61)
        self.alice.beat(NOW + 70)  # and then we are frozen: no timer comes
        hear(self.alice, Pong(4), NOW + 130)
        self.assertAlmostEqual(self.alice.rtt, 0.1)

    def test_rtt_of_a_slower_path(self) -> None:
        """A path that has become slower is believed from its second slow answer on."""
        for number, rtt in ((1, 0.1), (2, 0.9), (3, 0.9)):
            self.ask(number, rtt, NOW + 15 * number)
        self.assertAlmostEqual(self.alice.rtt, 0.2)

    def test_rtt_of_another_path(self) -> None:
        """Another path is measured anew, and by what was sent over it."""
        self.ask(1, 0.3)
        self.alice.beat(NOW + 1)
        self.alice.path_changed(NOW + 1.1)
        hear(self.alice, Pong(2), NOW + 1.3)
        self.assertEqual(self.alice.rtt, 0)
        self.ask(3, 0.02, NOW + 2)
        self.assertAlmostEqual(self.alice.rtt, 0.02)

    def test_rtt_of_an_outage(self) -> None:
        """What HELLO confirms after an outage took a minute to be said again, not to arrive."""
        self.alice.say("lost receipt", WALL, NOW)
        for message in sent(self.alice, NOW):
            hear(self.bob, message, NOW)
        self.cut()
        self.open(NOW + 60)
        self.assertEqual(self.alice.undelivered, 0)
        self.assertLess(self.alice.rtt, 1)

    def test_foreign_pong(self) -> None:
        """A PONG for nothing measures nothing, and one that comes twice counts once."""
        hear(self.alice, Pong(77), NOW)
        self.alice.beat(NOW)
        sent(self.alice, NOW)
        for _ in range(2):
            hear(self.alice, Pong(1), NOW + 0.1)
        self.assertEqual(told(self.alice), [Answered()])

    def test_suspicion(self) -> None:
        """Unanswered, the path is suspected after SUSPICION, then at twice the distance each."""
        self.alice.say("hello?", WALL, NOW)
        sent(self.alice, NOW)
        first, second, third, *_rest, before, last = self.suspicions(NOW + 120)
        self.assertAlmostEqual(first, SUSPICION)
        self.assertAlmostEqual(second - first, 2 * SUSPICION)
        self.assertAlmostEqual(third - second, 4 * SUSPICION)
        self.assertAlmostEqual(last - before, MAX_SUSPICION)

    def test_suspicion_of_slow_path(self) -> None:
        """On a slow path an answer has four round-trip times."""
        for number in (1, 2):
            self.ask(number, 0.5, NOW - 3 + number)
        told(self.alice)
        self.alice.beat(NOW)
        self.assertEqual(self.suspicions(NOW + 3), [2.0])

    def test_answer_calms(self) -> None:
        """Any answer gives what is still open its full time again; the last one ends it."""
        for text in ("one", "two"):
            self.alice.say(text, WALL, NOW)
        sent(self.alice, NOW)
        self.assertEqual(len(self.suspicions(NOW + 1)), 1)
        hear(self.alice, receipt(self.alice, 1), NOW + 1.1)
        due = self.alice.get_timer() or 0.0
        self.assertGreaterEqual(due, NOW + 1.1 + SUSPICION)
        self.assertLess(due, NOW + 10)
        hear(self.alice, receipt(self.alice, 2), NOW + 1.2)
        self.assertIsNone(self.alice.get_timer())

    def test_nothing_asked(self) -> None:
        """Who asked nothing suspects nobody, and so does who has no link."""
        self.assertIsNone(self.alice.get_timer())
        self.alice.say("x", WALL, NOW)
        sent(self.alice, NOW)
        self.cut()
        self.assertIsNone(self.alice.get_timer())
        self.alice.beat(NOW)
        self.assertEqual(sent(self.alice, NOW), [])

    def test_silent(self) -> None:
        """Three heartbeats without an answer are silence, told at the fourth."""
        silent = []
        for beat in range(1, 9):
            self.alice.beat(NOW + beat)
            if of(PeerSilent, told(self.alice)):
                silent.append(beat)
        self.assertEqual(silent, [SILENT_BEATS + 1, 2 * SILENT_BEATS + 1])

    def test_one_answer_is_enough(self) -> None:
        """The answer to the last heartbeat makes up for those before it."""
        for beat in range(1, 30):
            self.alice.beat(NOW + beat)
            if beat % 3 == 0:
                hear(self.alice, Pong(beat), NOW + beat)
        self.assertEqual(of(PeerSilent, told(self.alice)), [])
