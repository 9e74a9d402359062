"""Signed lists of registries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import BadSignature, RemoteProtocolError, StaleDocument, WrongAudience
from p2pchat.identity.registry_lists import AHEAD, DatedList, open_list, sign_list
from p2pchat.identity.signed_documents import sign_document
from p2pchat.wire.documents import MAX_REGISTRIES, MAX_SERVER, Card, RegistryList
from p2pchat.wire.messages import MAX_LIST, Registries, decode, encode
from tests.identity.people import ALICE, BOB, CAROL, sealing_key

NOW = 1_800_000_000.5
KEYS = (sealing_key(BOB).record_key,)
LIST = RegistryList(KEYS, ("https://one.example", "https://two.example"))


def signed(body: RegistryList = LIST, now: float = NOW) -> str:
    """Return a list of Bob's for Alice."""
    return sign_list(BOB, ALICE.peer_id, body, now, "n")


class ListTests(SynchronousTestCase):
    """Bob's list, for Alice."""

    def opened(self, token: str, now: float = NOW) -> DatedList:
        """Return what Alice reads."""
        return open_list(token, BOB.peer_id, ALICE.peer_id, now)

    def test_read(self) -> None:
        """It is read as it was written, however late it comes."""
        for now in (NOW, NOW + 4e7):
            self.assertEqual(self.opened(signed(), now), DatedList(LIST, NOW))

    def test_another(self) -> None:
        """One by or for somebody else, changed, or of another type is refused."""
        for token, error in (
            (sign_list(CAROL, ALICE.peer_id, LIST, NOW, "n"), BadSignature),
            (sign_list(BOB, CAROL.peer_id, LIST, NOW, "n"), WrongAudience),
            (sign_document(BOB, ALICE.peer_id, Card("bob"), NOW, "n"), RemoteProtocolError),
            (signed()[:-8] + "AAAAAAAA", RemoteProtocolError),
            ("", RemoteProtocolError),
        ):
            self.assertRaises(error, self.opened, token)

    def test_future(self) -> None:
        """One from the future would be the newest for long."""
        self.assertEqual(self.opened(signed(now=NOW + AHEAD)).as_of, NOW + AHEAD)
        self.assertRaises(StaleDocument, self.opened, signed(now=NOW + AHEAD + 1))

    def test_longest(self) -> None:
        """The longest one goes on a link."""
        url = "https://".ljust(MAX_SERVER, "a")
        token = signed(RegistryList(KEYS * 2, (url,) * MAX_REGISTRIES))
        self.assertLess(len(token), MAX_LIST / 2)
        message = Registries(token)
        self.assertEqual(decode(encode(message)), message)

    def test_bounds(self) -> None:
        """More registries, or longer URLs, are refused."""
        for urls in (("http://r",) * (MAX_REGISTRIES + 1), ("h" * (MAX_SERVER + 1),)):
            self.assertRaises(RemoteProtocolError, self.opened, signed(RegistryList(KEYS, urls)))

    @given(st.text(max_size=400))
    def test_any(self, token: str) -> None:
        """Whatever comes in place of one is refused in our words."""
        self.assertRaises(RemoteProtocolError, self.opened, token)
