"""A registry's nameplates, as a peer uses them; and one that says anything of them."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from zope.interface.verify import verifyObject

from p2pchat.errors import RegistryError
from p2pchat.interfaces import INameplates
from p2pchat.peer.nameplates import RegistryNameplates
from p2pchat.peer.registry_client import RegistryClient
from p2pchat.wire.nameplates import Claim, Completion, NameplateState, PakeResponse
from p2pchat.wire.strict_json import JsonObject
from tests.identity.people import ALICE, BOB
from tests.peer.registry_case import RegistryCase, registration
from tests.peer.test_hostile_registry import VALUES, places

PLACE = "123456"
TRY = PakeResponse(b"B" + bytes(32), bytes(32), b"sealed")
STATE = NameplateState("http://r.test:80", b"A" + bytes(32), 60, TRY, Completion(PLACE, bytes(32)))


class LyingClient(RegistryClient):
    """A client to which the registry says what a test wants."""

    says: JsonObject

    def nameplate(self, name: str) -> Deferred[JsonObject]:
        """Say it."""
        return succeed(self.says)


class RegistryNameplatesTests(RegistryCase):
    """Alice invites, and Bob, who is registered nowhere, joins."""

    def test_interface(self) -> None:
        """It provides INameplates."""
        self.assertTrue(verifyObject(INameplates, RegistryNameplates(self.client)))

    def test_whole(self) -> None:
        """From the claim to the release."""
        alice, bob = RegistryNameplates(self.client), RegistryNameplates(self.make_client(BOB))
        self.result(self.client.register(registration(ALICE, "alice")))
        self.result(alice.claim(Claim(PLACE, STATE.message, 60)))
        found = self.result(bob.look(PLACE))
        self.assertEqual((found.origin, found.message), ("http://203.0.113.1:8000", STATE.message))
        self.result(bob.respond(PLACE, TRY))
        self.assertEqual(self.result(alice.look(PLACE)).response, TRY)
        completion = Completion(PLACE, bytes(32), b"sealed")
        self.result(alice.complete(completion))
        self.assertEqual(self.result(bob.look(PLACE)).completion, completion)
        self.result(alice.release(PLACE))
        self.assertEqual(self.refused(bob.look(PLACE), RegistryError).status, 404)

    def test_anything(self) -> None:
        """Whatever a registry says of a nameplate, it is a state of one or our error."""
        client = LyingClient(self.world.url, ALICE, self.runtime(self.host))
        nameplates = RegistryNameplates(client)
        whole = STATE.to_json()
        for place in places(whole):
            for value in VALUES if place else ():
                client.says = _changed(whole, place, value)
                try:
                    self.assertIsInstance(self.result(nameplates.look(PLACE)), NameplateState)
                except RegistryError as error:
                    self.assertIn("can't be used", str(error))


def _changed(whole: JsonObject, place: tuple[str, ...], value: object) -> JsonObject:
    """Return an object with another value in one place."""
    first, *rest = place
    inner = _changed(whole[first], tuple(rest), value) if rest else value
    return {**whole, first: inner}
