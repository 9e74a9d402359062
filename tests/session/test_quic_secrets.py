"""Secrets and ids of a link: what the protocol page says of them, with the numbers beside it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session import datagram_size, qh3_connection, quic, renewal
from p2pchat.session.quic_secrets import ROLES, next_id, next_secret
from tests.pages import page, vectors


class PageTests(SynchronousTestCase):
    """Whoever writes another implementation can rely on the page."""

    def test_vectors(self) -> None:
        """The secret of RENEW makes the ids and the secrets of what follows."""
        given = {
            name: bytes.fromhex(one)
            for name, one in vectors(page("protocol")).items()
            if name.endswith(("renewed id", "renewed secret", "renewal secret"))
        }
        secret = given["renewal secret"]
        for role in ROLES:
            self.assertEqual(next_id(secret, role), given[f"{role} renewed id"])
            self.assertEqual(next_secret(secret, role), given[f"{role} renewed secret"])

    def test_numbers(self) -> None:
        """The numbers of renewal and datagrams are those of the code."""
        text = " ".join(page("protocol").split())
        for sentence in (
            f"Each side allows {qh3_connection.WINDOW:,} bytes, and {qh3_connection.STREAMS} str",
            f"once it has sent {datagram_size.WORTH:,} bytes over a direct path",
            "of {:,} bytes, then {:,}, {:,} and {:,}".format(*datagram_size.SIZES),
            f"where {quic.BLACK_HOLE} large ones in a row went missing",
            f"looks again after {datagram_size.AGAIN} times as many bytes",
            f"more than {renewal.MOST} of them, break the rules",
        ):
            self.assertIn(sentence, text)
