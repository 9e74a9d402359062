"""What a registry answers to a registration."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.peer.lease import MAX_FEATURES, MAX_TOKEN, REGISTER_AGAIN, Lease
from p2pchat.wire.servers import LongTermCredential

TURN = {"urls": ["turn:192.0.2.1"], "username": "u", "password": "p", "ttl": 600}
ANSWER = {
    "lease": 60,
    "renewal": "token",
    "your_ip": "192.0.2.9",
    "stun": ["stun:192.0.2.1"],
    "turn": TURN,
}


def lease(**changes: Any) -> Lease:
    """Read the answer with other members."""
    return Lease.from_json({**ANSWER, **changes})


class LeaseTests(SynchronousTestCase):
    """It is taken for what it is worth."""

    def test_read(self) -> None:
        """A whole answer, and the least one."""
        urls, relays = ["stun:192.0.2.1"], ["turn:192.0.2.1"]
        self.assertEqual(
            lease(),
            Lease(60.0, "192.0.2.9", "token", 300.0, urls, relays, LongTermCredential("u", "p")),
        )
        self.assertEqual(Lease.from_json({"lease": 1.5}), Lease(1.5))

    def test_no_lease(self) -> None:
        """Without a lease it is no answer."""
        for value in (None, "long", -1, True, float("inf")):
            self.assertRaises(RemoteProtocolError, lease, lease=value)

    def test_token(self) -> None:
        """A token that can't stand in a header is none: we register again."""
        for value in (None, 5, "", "a b", "a\nb", "é", "x" * (MAX_TOKEN + 1), ["x"]):
            self.assertEqual(lease(renewal=value).token, "")

    def test_good_for(self) -> None:
        """Credentials are asked for anew in time; a time to live that makes no sense is none."""
        for ttl, seconds in ((0, 0.0), (1000, 500.0), (10**9, REGISTER_AGAIN), (-1, 600.0)):
            self.assertEqual(lease(turn={**TURN, "ttl": ttl}).good_for, seconds)
        for nonsense in (None, True, 1.5, "600", [600]):
            self.assertEqual(lease(turn={**TURN, "ttl": nonsense}).good_for, REGISTER_AGAIN)

    def test_features(self) -> None:
        """Words are kept, those that we don't know, too; what is none, or too much, is left out."""
        self.assertEqual(lease(features=["list", "more"]).features, {"list", "more"})
        for nonsense in (None, "list", {"list": 1}, [1, ["list"]], ["x" * 65]):
            self.assertEqual(lease(features=nonsense).features, frozenset())
        many = lease(features=[str(number) for number in range(MAX_FEATURES + 1)])
        self.assertEqual(len(many.features), MAX_FEATURES)

    def test_address(self) -> None:
        """What we publish is our address before what the registry saw; nonsense is neither."""
        self.assertEqual(lease(ip="192.0.2.10").address, "192.0.2.10")
        self.assertEqual(lease(ip="x").address, "192.0.2.9")
        self.assertEqual(lease(ip=None, your_ip=[5]).address, "")

    def test_relays(self) -> None:
        """Relays without credentials are none."""
        nothing: tuple[Any, ...] = (None, [], "turn:192.0.2.1", {}, {**TURN, "password": 5})
        for turn in nothing:
            self.assertIsNone(lease(turn=turn).credentials)
