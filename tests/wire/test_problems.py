"""How the registry says no: problem documents, and Retry-After."""

from __future__ import annotations

from http import HTTPStatus

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.problems import MAX_RETRY_AFTER, Problem, http_date, read_retry_after
from p2pchat.wire.strict_json import dumps, loads
from tests.wire.json_values import damaged

NOW = 784_111_777.0  # the example of RFC 9110 section 5.6.7
DATES = (
    b"Sun, 06 Nov 1994 08:49:37 GMT",
    b"Sunday, 06-Nov-94 08:49:37 GMT",
    b"Sun Nov  6 08:49:37 1994",
)

problems = st.builds(
    Problem,
    st.sampled_from([status.value for status in HTTPStatus]),
    st.from_regex(r"[a-z]+(-[a-z]+)?", fullmatch=True).map(lambda word: word[:100]),
    st.text(st.characters(codec="utf-8"), max_size=100),
)


class ProblemTests(SynchronousTestCase):
    """RFC 9457 documents with our reasons."""

    @given(problems)
    def test_round_trip(self, problem: Problem) -> None:
        """What is written is read."""
        self.assertEqual(Problem.decode(problem.encode()), problem)

    def test_members(self) -> None:
        """Programs of other people find the members of the RFC."""
        self.assertEqual(
            loads(Problem(404, "unknown-peer", "no such peer").encode()),
            {
                "type": "/problems/unknown-peer",
                "title": "Not Found",
                "status": 404,
                "detail": "no such peer",
            },
        )

    def test_foreign(self) -> None:
        """A problem of another server is read: its type is the reason, its detail may lack."""
        problem = Problem.decode(b'{"type":"about:blank","status":503,"more":[1]}')
        self.assertEqual(problem, Problem(503, "about:blank", ""))

    @given(damaged(problems.map(Problem.to_json)))
    def test_any_object(self, members: dict[str, object]) -> None:
        """Any JSON object raises only our error."""
        try:
            problem = Problem.decode(dumps(members))
        except RemoteProtocolError:
            return
        self.assertIn(problem.status, [status.value for status in HTTPStatus])

    def test_refused(self) -> None:
        """No status, no HTTP status, no type, no object: no problem document."""
        for body in (
            *(b"", b"<html>", b"[]", b"{}", b'{"type":"/problems/a"}', b'{"status":404}'),
            *(b'{"type":"a","status":"404"}', b'{"type":"a","status":299}'),
        ):
            with self.subTest(body=body):
                self.assertRaises(RemoteProtocolError, Problem.decode, body)


class RetryAfterTests(SynchronousTestCase):
    """How Retry-After is read."""

    def test_seconds(self) -> None:
        """Delta-seconds are what they say."""
        for value, seconds in ((b"0", 0.0), (b"1", 1.0), (b"060", 60.0), (b"300", 300.0)):
            self.assertEqual(read_retry_after([value], NOW), seconds)

    def test_date(self) -> None:
        """A date, in each of the three forms, counts from now; one that is past is now."""
        for date in DATES:
            self.assertEqual(http_date(date), NOW)
            for now, seconds in ((NOW - 20, 20.0), (NOW, 0.0), (NOW + 20, 0.0)):
                self.assertEqual(read_retry_after([date], now), seconds)

    def test_bounded(self) -> None:
        """However much is asked for, MAX_RETRY_AFTER is the most."""
        for value in (b"301", b"86400", b"9" * 9000, b"Sun, 06 Nov 9994 08:49:37 GMT"):
            self.assertEqual(read_retry_after([value], NOW), MAX_RETRY_AFTER)

    def test_nothing_clear(self) -> None:
        """What is absent, malformed, or there twice asks for nothing."""
        for value in (b"", b"soon", b"-5", b"+5", b"1.5", b"1e3", b"5 s", b"inf", b"nan", b"\xff"):
            self.assertIsNone(read_retry_after([value], NOW), value)
        for date in (b"Sun, 99 Nov 1994 08:49:37 GMT", b"Sun, 06 Nov 99999999 08:49:37 GMT"):
            self.assertIsNone(read_retry_after([date], NOW), date)
        self.assertIsNone(read_retry_after([], NOW))
        self.assertIsNone(read_retry_after([b"5", b"5"], NOW))

    @given(st.lists(st.binary(max_size=40), max_size=2))
    def test_anything(self, values: list[bytes]) -> None:
        """Whatever a registry writes is a wait within bounds, or none."""
        read = read_retry_after(values, NOW)
        self.assertTrue(read is None or 0 <= read <= MAX_RETRY_AFTER)
