"""Problem documents: how the registry says no."""

from __future__ import annotations

from http import HTTPStatus

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.problems import Problem
from p2pchat.wire.strict_json import dumps, loads
from tests.wire.json_values import damaged

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
