"""People at several registries, and at different ones."""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Site

from p2pchat import events
from p2pchat.errors import RegistryError
from p2pchat.identity.registry_lists import DatedList
from p2pchat.peer.guest_registrations import IDLE
from p2pchat.peer.profile import load_profile
from p2pchat.session.approval import AcceptPolicy
from p2pchat.wire.documents import RegistryList
from tests.simulation.behaviour import PORT_RESTRICTED_CONE
from tests.simulation.host import Host
from tests.simulation.link import SEVERED
from tests.simulation.registries import FurtherRegistry
from tests.simulation.test_invitations import DAY, InvitationCase
from tests.simulation.world import REGISTRY, Person


class Counting(Resource):
    """A web server that is no registry, and counts who asks."""

    isLeaf = True

    def __init__(self, asked: list[bytes]) -> None:
        super().__init__()
        self._asked = asked

    def render_GET(self, request: Any) -> bytes:
        """Answer something."""
        self._asked.append(request.path)
        return b"hello"

    render_POST = render_GET


SECOND = "203.0.113.11"


class RegistriesCase(InvitationCase):
    """Alice is at the world's registry, and Bob at another one."""

    def setUp(self) -> None:
        super().setUp()
        for one in (self.alice, self.bob):  # who are both at the first one, and ask
            self.world.result(one.node.stop())
        self.second = FurtherRegistry.of(self.world, SECOND)
        self.alice = self.at("alice", self.world.url)
        self.bob = self.at("bob", *self.bobs())
        self.world.settle(self.alice, self.bob)

    def bobs(self) -> tuple[str, ...]:
        """Return the URLs of Bob's registries."""
        return (self.second.url,)

    def at(self, name: str, *urls: str, **settings: Any) -> Person:
        """Start somebody who is at these registries."""
        profile = load_profile(None, self.world.random.randbytes)
        return self.start(name, profile, *urls, **settings)

    def start(self, name: str, profile: Any, *urls: str, **settings: Any) -> Person:
        """Start somebody with a profile, behind a NAT of its own."""
        nat = self.world.nat(PORT_RESTRICTED_CONE)
        chosen = {"accept": AcceptPolicy.CONTACTS, "server": urls[0], **settings}
        return self.world.person(name, nat, profile, further=urls[1:], **chosen)

    def again(self, person: Person, *urls: str) -> Person:
        """Kill somebody's program, and start another with the same profile elsewhere."""
        person.host.kill()
        found = self.start(person.name, person.profile, *urls)
        self.world.settle(found)
        return found

    def meet(self) -> None:
        """Let the two become contacts by an invitation of Alice's."""
        self.world.result(self.bob.node.invitations.join(self.invite().line))
        self.assert_together()
        for one, other in ((self.alice, self.bob), (self.bob, self.alice)):
            one.node.disconnect(other.node.peer_id)
        self.world.internet.run(20)


class TwoRegistriesTests(RegistriesCase):
    """Contacts who are at no common registry."""

    def test_strangers(self) -> None:
        """Who isn't a contact is found at our registries only."""
        self.world.result(self.alice.node.connect(self.bob.node.peer_id))
        self.world.wait(lambda: self.alice.events(events.CallFailed), awaited="the failure")
        self.assertFalse(self.second.knows(self.alice.node.peer_id))

    def test_calls(self) -> None:
        """Each calls the other at the other's registry, as a guest who leaves again."""
        self.meet()
        self.world.internet.run(IDLE)
        self.assertFalse(self.second.knows(self.alice.node.peer_id))
        self.assertEqual(self.world.registered, 1)  # Bob was a guest there when they met
        for caller, called in ((self.alice, self.bob), (self.bob, self.alice)):
            seconds = self.world.connect(caller, called)
            self.assertLess(seconds, 2.0)
            caller.node.disconnect(called.node.peer_id)
            self.world.internet.run(IDLE + 60)
        self.assertFalse(self.second.knows(self.alice.node.peer_id))
        self.assertEqual(self.world.registered, 1)
        servers = {one.server for one in self.bob.events(events.Registered)}
        self.assertEqual(servers, {self.second.url}, "a guest's registration is not told")

    def test_restarts(self) -> None:
        """After restarts of everything they still find each other."""
        self.meet()
        self.second.kill()
        self.world.host.kill()
        self.alice.host.kill()
        self.bob.host.kill()
        self.world.internet.run(5)
        self.world.host.boot()
        self.world.boot_registry()
        self.second.reboot()
        self.alice = self.again(self.alice, self.world.url)
        self.bob = self.again(self.bob, self.second.url)
        self.world.connect(self.alice, self.bob)

    def test_unlisted(self) -> None:
        """A guest stands in no list."""
        self.meet()
        self.world.connect(self.alice, self.bob)
        carol = self.at("carol", self.second.url)
        self.world.settle(carol)
        listed = self.world.result(carol.node.peers())
        self.assertEqual({one.username for one in listed}, {"bob", "carol"})

    def test_own_is_dead(self) -> None:
        """Who has lost the own registry still calls, and waits for no other first."""
        self.meet()
        self.world.host.kill()
        self.world.internet.run(60)
        seconds = self.world.connect(self.alice, self.bob)
        self.assertLess(seconds, 3.0)

    def test_theirs_is_dead(self) -> None:
        """Where theirs is gone the call fails, and the dead registry isn't asked all the time."""
        self.meet()
        self.world.internet.run(IDLE)
        self.second.kill()
        self.world.internet.run(60)
        self.world.result(self.alice.node.connect(self.bob.node.peer_id))
        self.world.wait(lambda: self.alice.events(events.CallFailed), 120, awaited="the failure")
        self.second.reboot()
        self.world.internet.run(20)
        self.world.connect(self.alice, self.bob)

    def test_relay_only(self) -> None:
        """Who shows no address visits no registry that a contact names."""
        self.meet()
        self.alice.host.kill()
        self.alice = self.start("alice", self.alice.profile, self.world.url, relay_only=True)
        self.world.settle(self.alice)
        self.world.result(self.alice.node.connect(self.bob.node.peer_id))
        self.world.wait(lambda: self.alice.events(events.CallFailed), awaited="the failure")
        self.assertFalse(self.second.knows(self.alice.node.peer_id))

    def test_relay_only_joining(self) -> None:
        """Who visits no registry is found at the inviter's from then on."""
        carol = self.at("carol", self.second.url, relay_only=True)
        self.world.settle(carol)
        self.world.result(carol.node.invitations.join(self.invite().line))
        self.world.internet.run(10)
        states = {one.server: one.state for one in carol.node.registries()}
        self.assertEqual(states, {self.second.url: "reachable", self.world.url: "reachable"})


class MovingTests(RegistriesCase):
    """Contacts who go to another registry."""

    def kept(self, person: Person, of: Person) -> tuple[str, ...]:
        """Return where somebody is found, as another one knows."""
        return person.profile.contacts[of.node.peer_id].registries

    def test_moved(self) -> None:
        """Who is at another registry now, and calls, is found there later."""
        self.meet()
        third = FurtherRegistry.of(self.world, "203.0.113.12")
        self.bob = self.again(self.bob, third.url)
        self.assertEqual(self.kept(self.alice, self.bob), (self.second.url,))
        self.world.connect(self.bob, self.alice)
        self.world.internet.run(1)
        self.assertEqual(self.kept(self.alice, self.bob), (third.url,))
        self.second.kill()
        self.bob.node.disconnect(self.alice.node.peer_id)
        self.alice = self.again(self.alice, self.world.url)
        self.world.connect(self.alice, self.bob)

    def test_strangers(self) -> None:
        """Who becomes a contact by a conversation learns it on that link."""
        self.bob = self.again(self.bob, self.world.url, self.second.url)
        self.world.result(self.alice.node.connect(self.bob.node.peer_id))
        self.world.wait(lambda: self.bob.events(events.OfferReceived), awaited="the call")
        self.bob.node.accept(self.alice.node.peer_id)
        self.world.wait(lambda: self.alice.is_connected_to(self.bob), awaited="the conversation")
        self.world.internet.run(1)
        urls = {self.world.url, self.second.url}
        self.assertEqual(set(self.kept(self.alice, self.bob)), urls)
        self.assertEqual(self.kept(self.bob, self.alice), (self.world.url,))

    def test_hostile(self) -> None:
        """A contact whose list leads elsewhere gets little out of it."""
        self.meet()
        victim = self.world.internet.host("203.0.113.99")
        asked: list[bytes] = []
        victim.reactor.listenTCP(80, Site(Counting(asked), reactor=victim.reactor))
        near = Host(self.world.internet, self.alice.host.network, ["10.3.0.77"])
        near.reactor.listenTCP(8000, Site(Counting(asked), reactor=near.reactor))
        bad = ("http://10.3.0.77:8000", "http://127.0.0.1:8000", "http://203.0.113.99")
        contacts = self.alice.profile.contacts
        body = RegistryList((), bad)
        contacts.remember_list(self.bob.node.peer_id, DatedList(body, 4e9))
        self.world.result(self.bob.node.stop())
        for _ in range(20):
            self.world.result(self.alice.node.connect(self.bob.node.peer_id))
            self.world.internet.run(30)
        paths = {one.split(b"/")[1] for one in asked}  # nor was anything of the near ones asked
        self.assertEqual(paths, {b"peer", b"presence"})
        self.assertLess(len(asked), 50)


class OtherNameTests(RegistriesCase):
    """Bob is at Alice's registry, by another name of it."""

    def bobs(self) -> tuple[str, ...]:
        """Return the URLs of Bob's registries."""
        return (self.world.url.replace(REGISTRY[0], REGISTRY[1]),)

    def test_not_displaced(self) -> None:
        """Nobody takes the place of the own registration."""
        self.meet()
        self.world.connect(self.alice, self.bob)
        for one in (self.alice, self.bob):
            self.assertEqual(one.events(events.RegistryLost), [])


class SeveralTests(RegistriesCase):
    """People who are at two registries."""

    def setUp(self) -> None:
        super().setUp()
        self.world.wait(lambda: self.world.registered == 2, awaited="both registrations")

    def bobs(self) -> tuple[str, ...]:
        """Return the URLs of Bob's registries."""
        return self.second.url, self.world.url

    def test_one_dies(self) -> None:
        """While one is away for long calls go by the other, at once and without a word."""
        self.meet()
        self.second.kill()
        self.world.internet.run(60)
        told = len(self.bob.told)
        self.world.internet.run(1200)
        self.assertEqual(self.bob.told[told:], [])
        for caller, called in ((self.alice, self.bob), (self.bob, self.alice)):
            seconds = self.world.connect(caller, called)
            self.assertLess(seconds, 2.0)
            caller.node.disconnect(called.node.peer_id)
            self.world.internet.run(30)

    def test_just_died(self) -> None:
        """A first registry that has just vanished, and nobody knows it yet, costs a second."""
        self.meet()
        self.second.host.kill()
        seconds = self.world.connect(self.alice, self.bob)
        self.assertLess(seconds, 4.0)

    def test_inviting(self) -> None:
        """An invitation is for the first registry that can be reached."""
        for url in (self.second.url, self.world.url):
            info = self.world.result(self.bob.node.invitations.invite("", DAY, False))
            self.assertTrue(info.line.endswith(url))
            self.second.kill()
            self.world.internet.run(60)

    def test_spoken(self) -> None:
        """A spoken one is found at whichever of our registries it is."""
        carol = self.at("carol", self.world.url, self.second.url)
        self.world.settle(carol)
        self.world.wait(lambda: len(carol.events(events.Registered)) == 2, awaited="both")
        info = self.world.result(self.bob.node.invitations.invite("", 600, True))
        self.world.result(carol.node.invitations.join(info.line))
        self.world.wait(lambda: carol.is_connected_to(self.bob), awaited="the conversation")
        with self.assertRaises(RegistryError) as caught:
            self.world.result(carol.node.invitations.join("000000-able-able-able"))
        self.assertEqual(caught.exception.status, 404)

    def test_cut_off(self) -> None:
        """One that is cut off in silence costs little, and is used again when it is back."""
        self.meet()
        self.second.host.link = SEVERED
        self.assertLess(self.world.connect(self.bob, self.alice), 4.0)
        self.world.internet.run(300)
        self.assertEqual(len(self.bob.events(events.RegistryLost)), 1)
        self.second.host.link = None
        bob = self.bob.node.peer_id
        self.world.wait(lambda: self.second.knows(bob), awaited="the registration")
        self.bob.node.disconnect(self.alice.node.peer_id)
        self.world.host.link = SEVERED
        self.world.internet.run(60)
        self.assertLess(self.world.connect(self.alice, self.bob), 4.0)  # by the one that is back

    def test_both_die(self) -> None:
        """When all are away it is told once, and when they come back all is as before."""
        self.meet()
        self.second.kill()
        self.world.host.kill()
        self.world.internet.run(120)
        self.world.host.boot()
        self.world.boot_registry()
        self.second.reboot()
        self.world.wait(
            lambda: self.world.registered == 2 and self.second.knows(self.bob.node.peer_id),
            awaited="all are back",
        )
        self.world.connect(self.bob, self.alice)

    def test_starting_without(self) -> None:
        """Who starts while one is away reads of the other only."""
        self.second.kill()
        self.bob = self.again(self.bob, self.second.url, self.world.url)
        self.world.internet.run(60)
        self.assertEqual(self.bob.events(events.RegistryLost), [])
        self.second.reboot()
        self.world.wait(lambda: len(self.bob.events(events.Registered)) == 2, awaited="the other")
