"""The test vector of verification in ``docs/protocol.rst`` comes out of the code."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.identity.keys import Identity
from p2pchat.session.verification import Verification
from p2pchat.wire.messages import Commitment, Reveal
from tests.pages import page, vectors
from tests.wire.word_list import WORDS


class VectorTests(SynchronousTestCase):
    """Whoever writes another implementation can rely on the numbers of the page."""

    def test_words(self) -> None:
        """Commitments, digest and words belong together."""
        given = vectors(page("protocol"))
        keys = [
            Identity.from_seed(bytes.fromhex(given[f"{name} seed"])).public_key
            for name in ("first", "second")
        ]
        digests: list[bytes] = []
        side = Verification(keys[0], lambda _: bytes.fromhex(given["first nonce"]), digests.append)
        side.link_opened(bytes.fromhex(given["verified binding"]), keys[1])
        side.start(0.0)
        commitment = bytes.fromhex(given["first commitment"])
        self.assertEqual(side.next_message(), Commitment(commitment))
        side.receive(Commitment(bytes.fromhex(given["second commitment"])), 0.0)
        side.receive(Reveal(bytes.fromhex(given["second nonce"])), 0.0)
        [digest] = digests
        self.assertEqual(digest.hex(), given["verified digest"])
        self.assertEqual("-".join(WORDS.spell(digest, 4)), given["verified words"])
