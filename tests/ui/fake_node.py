"""A node without a network: it notes what it is asked, and says what a test makes it say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from p2pchat import events
from p2pchat.errors import LocalProtocolError, WhoError
from p2pchat.interfaces import IIndications, IInvitations, INode
from p2pchat.peer.grants import InvitedGrant
from p2pchat.peer.settings import (
    ContactInfo,
    ConversationInfo,
    InvitationInfo,
    PrivacyInfo,
    RegistryInfo,
)
from p2pchat.peer.signaling import PeerRecord
from p2pchat.session.connection_report import ConnectionReport
from p2pchat.session.stored import About, message_id
from p2pchat.ui import results
from tests.ui.fake_history import FakeHistory
from tests.ui.fake_services import FakeServices
from tests.ui.fake_transfers import FakeTransfers

ALICE = "0a11ce00-0000-8000-8000-000000000001"
BOB = "b0b00000-0000-8000-8000-000000000002"
CAROL = "ca401000-0000-8000-8000-000000000003"
NAMES = {BOB: "bob", CAROL: "carol"}
EVENTS: list[Any] = [kind for kind in vars(events).values() if hasattr(kind, "NAME")]
RESULTS: list[Any] = [
    kind
    for kind in vars(results).values()
    if hasattr(kind, "NAME") and issubclass(kind, results.Result)
]


@implementer(IPushProducer)
@attrs.define
class ListenerQueue:
    """Notes whether it is paused."""

    listener: Callable[[Any], None]
    is_paused: bool = False

    def pauseProducing(self) -> None:
        self.is_paused = True

    def resumeProducing(self) -> None:
        self.is_paused = False

    def stopProducing(self) -> None:
        self.is_paused = True


@implementer(IInvitations)
@attrs.define
class FakeInvitations:
    """
    Invitations that wait for a test.

    :ivar asked: what was asked, oldest first.
    :ivar results: what the Deferreds fire with, oldest first.
    :ivar infos: those that are open.
    """

    asked: list[tuple[Any, ...]] = attrs.Factory(list)
    results: list[Any] = attrs.Factory(list)
    infos: list[InvitationInfo] = attrs.Factory(list)

    def open(self) -> list[InvitationInfo]:
        return self.infos

    def invite(
        self,
        name: str,
        seconds: int,
        is_spoken: bool,
        replaces: str = "",
        grant: InvitedGrant | None = None,
    ) -> Deferred[InvitationInfo]:
        granted = () if grant is None else (grant,)
        return self._noted("invite", name, seconds, is_spoken, replaces, *granted)

    def arrived(self, peer_id: str) -> None:
        self.asked.append(("arrived", peer_id))

    def withdraw(self, which: str) -> Deferred[InvitationInfo]:
        return self._noted("withdraw", which)

    def join(self, line: str) -> Deferred[str]:
        return self._noted("join", line)

    def _noted(self, *what: Any) -> Deferred[Any]:
        self.asked.append(what)
        result = self.results.pop(0) if self.results else None
        return fail(result) if isinstance(result, Exception) else succeed(result)


@implementer(IIndications)
@attrs.define
class FakeIndications:
    """
    Indications that are only remembered.

    :ivar asked: takes them.
    """

    asked: list[tuple[Any, ...]]
    switches: PrivacyInfo = attrs.Factory(lambda: PrivacyInfo(True, True, False))

    def seen(self, peer_id: str, id: str) -> None:
        """Remember it."""
        self.asked.append(("seen", peer_id, id))

    def typing(self, peer_id: str) -> None:
        """Remember the first of many."""
        if self.asked[-1:] != [("typing", peer_id)]:
            self.asked.append(("typing", peer_id))

    def switch(self, what: str, on: bool) -> None:
        """Switch."""
        self.switches = attrs.evolve(self.switches, **{what: on})

    def privacy(self) -> PrivacyInfo:
        """Return the switches."""
        return self.switches


@implementer(INode)
@attrs.define
class FakeNode:
    """
    A node called alice that knows bob and carol; carol is a contact.

    :ivar asked: what was asked, oldest first.
    :ivar time: what it takes for the time.
    :ivar calls: the Deferreds of calls that a test has to fire.
    """

    peer_id: str = ALICE
    username: str = "alice"
    server: str = "http://r"
    time: float = 0.0
    asked: list[tuple[Any, ...]] = attrs.Factory(list)
    calls: list[Deferred[str]] = attrs.Factory(list)
    infos: dict[str, ConversationInfo] = attrs.Factory(dict)
    kept: dict[str, float] = attrs.Factory(dict)  # how long lines wait at a registry, by id
    records: Deferred[list[PeerRecord]] = attrs.Factory(lambda: succeed([]))
    story: ConnectionReport | None = None
    history: FakeHistory = attrs.Factory(FakeHistory)
    before: tuple[str, ...] = ()  # whose place carol took
    started: Deferred[None] = attrs.Factory(lambda: succeed(None))
    stopped: Deferred[None] = attrs.Factory(lambda: succeed(None))
    invitations: FakeInvitations = attrs.Factory(FakeInvitations)
    indications: FakeIndications = attrs.field(init=False)
    services: FakeServices = attrs.field(init=False)
    transfers: FakeTransfers = attrs.field(init=False)
    _listeners: list[ListenerQueue] = attrs.Factory(list)
    can_withdraw: bool = True
    stores_later: bool = False  # a test tells when lines are stored
    _sent: int = 0

    def __attrs_post_init__(self) -> None:
        self.indications = FakeIndications(self.asked)
        self.services = FakeServices(self.asked, {name: one for one, name in NAMES.items()})
        self.transfers = FakeTransfers(self.asked)

    def tell(self, event: Any) -> None:
        """Tell the listeners of an event."""
        for one in self._listeners:
            one.listener(event)

    def begin(self, peer_id: str) -> None:
        """Begin a conversation by itself."""
        self._put(peer_id, "open")
        self.tell(events.Connected(peer_id, NAMES[peer_id], 97.0, False))

    def offer(self, peer_id: str) -> None:
        """Let somebody call."""
        self._put(peer_id, "offered")
        self.tell(events.OfferReceived(peer_id, NAMES[peer_id], False))

    def end(
        self, peer_id: str, reason: str = "left", undelivered: int = 0, ours: bool = False
    ) -> None:
        """End a conversation."""
        self.infos.pop(peer_id, None)
        self.tell(events.Disconnected(peer_id, NAMES[peer_id], reason, undelivered, ours))

    def receive(self, peer_id: str, text: str, sent_at: float = 0.0) -> None:
        """Let a peer say something."""
        self.tell(events.MessageReceived(peer_id, NAMES[peer_id], "m1", text, sent_at))

    def _put(self, peer_id: str, state: str) -> None:
        is_contact = peer_id == CAROL
        self.infos[peer_id] = ConversationInfo(peer_id, NAMES[peer_id], state, contact=is_contact)

    # INode.

    def listen(self, listener: Callable[[events.NodeEvent], None]) -> IPushProducer:
        self._listeners.append(ListenerQueue(listener))
        return self._listeners[-1]

    def unlisten(self, listener: Callable[[events.NodeEvent], None]) -> None:
        self._listeners = [one for one in self._listeners if one.listener != listener]

    @property
    def is_paused(self) -> bool:
        """Whether a listener wants to hear nothing for now; it is told all the same."""
        return any(one.is_paused for one in self._listeners)

    def now(self) -> float:
        return self.time

    def start(self) -> Deferred[None]:
        self.asked.append(("start",))
        return self.started

    def stop(self) -> Deferred[None]:
        self.asked.append(("stop",))
        return self.stopped

    def connect(self, who: str) -> Deferred[str]:
        self.asked.append(("connect", who))
        call: Deferred[str] = Deferred()
        call.addCallback(self._called)
        self.calls.append(call)
        return call

    def _called(self, peer_id: str) -> str:
        self._put(peer_id, "calling")
        self.tell(events.Calling(peer_id, NAMES[peer_id], 1, 3))
        return peer_id

    def accept(self, who: str) -> str:
        peer_id = self.find(who)
        self.asked.append(("accept", peer_id))
        self._put(peer_id, "calling")
        return peer_id

    def reject(self, who: str) -> str:
        peer_id = self.find(who)
        self.asked.append(("reject", peer_id))
        del self.infos[peer_id]
        return peer_id

    def send(self, peer_id: str, text: str, about: About | None = None) -> str:
        if peer_id not in self.infos:
            raise WhoError("There is no such conversation.")
        named = () if about is None else (about.kind, message_id(*about.place[1:]))
        self.asked.append(("send", peer_id, text, *named))
        self._sent += 1
        if not self.stores_later:
            members = {"reply": "reply_to", "edit": "edits", "delete": "deletes"}
            more = {members[named[0]]: named[1]} if named else {}
            self.tell(events.MessageSent(peer_id, f"s{self._sent}", text, **more))
        return f"s{self._sent}"

    def kept_until(self, peer_id: str, id: str) -> float | None:
        return self.kept.get(id)

    def withdraw(self, peer_id: str, id: str) -> list[str]:
        if not self.can_withdraw:
            raise LocalProtocolError("it may have gone out")
        self.asked.append(("withdraw", peer_id, id))
        return []

    def disconnect(self, peer_id: str) -> None:
        if peer_id not in self.infos:
            raise WhoError("There is no such conversation.")
        self.asked.append(("disconnect", peer_id))
        self.end(peer_id, "closed", ours=True)

    def find(self, who: str) -> str:
        for peer_id, info in self.infos.items():
            if who == info.name or peer_id.startswith(who):
                return peer_id
        raise WhoError(f"Nobody here is {who}.")

    def find_known(self, who: str) -> str:
        if who not in (BOB, CAROL, NAMES[CAROL]):
            raise WhoError(f"{who} is no id and no contact.")
        return CAROL if who == NAMES[CAROL] else who

    def verify(self, who: str) -> str:
        return self._noted("verify", who)

    def verified(self, peer_id: str, same: bool) -> None:
        self._noted("same" if same else "different", peer_id)

    def rename(self, who_and_name: str) -> str:
        return self._noted("rename", who_and_name)

    def contact_of(self, name: str) -> str:
        return CAROL if name == NAMES[CAROL] else ""

    def whom(self, who: str) -> str:
        for peer_id, name in NAMES.items():
            if who in {name, peer_id}:
                return peer_id
        raise WhoError(f"Nobody here is {who}.")

    def forget(self, who: str) -> str:
        return self._noted("forget", who)

    def relay_only(self, who: str, on: bool) -> str:
        self.asked.append(("relay_only", who, str(on)))
        return who

    def mute(self, who: str, on: bool = True) -> str:
        return self._noted("mute" if on else "unmute", who)

    def block(self, who: str, on: bool = True) -> str:
        return self._noted("block" if on else "unblock", who)

    def _noted(self, what: str, who: str) -> str:
        self.asked.append((what, who))
        return BOB

    def contacts(self) -> list[ContactInfo]:
        return [ContactInfo(CAROL, NAMES[CAROL], True, before=self.before)]

    def conversations(self) -> list[ConversationInfo]:
        return list(self.infos.values())

    def registries(self) -> list[RegistryInfo]:
        return [RegistryInfo(self.server, "reachable", rtt_ms=20.0)]

    def peers(self) -> Deferred[list[PeerRecord]]:
        return self.records

    def nat(self) -> events.NatRead:
        return events.NatRead("endpoint-independent", "203.0.113.7:4242", "")

    def why(self, peer_id: str) -> ConnectionReport:
        if self.story is None:
            raise WhoError("There was no attempt.")
        return self.story
