"""
Names and contacts of a node: what a peer is called on the screen, and who is a contact.

Owns the meeting of contacts and callers with the node's events: a contact is shown under the name
that it has here, whatever it calls itself; somebody else with such a name is told from it; a call
rings or doesn't.  Every change of a contact is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs
from twisted.internet.defer import Deferred, succeed

from p2pchat import events
from p2pchat.errors import LocalProtocolError, RemoteProtocolError, WhoError
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.invitations import Acquaintance
from p2pchat.peer.lookup import Acquaintances, hint_about, is_prefix, look_up
from p2pchat.peer.pasted import whole_id
from p2pchat.peer.settings import AWAY, ContactInfo, ConversationInfo, in_normal_form
from p2pchat.peer.signaling import PeerRecord, SignalingGroup
from p2pchat.session.approval import By
from p2pchat.session.connection_log import describe_path
from p2pchat.session.endpoint import Endpoint
from p2pchat.session.peer_session import PeerSession
from p2pchat.session.stages import Stage
from p2pchat.traversal.report import in_ms
from p2pchat.wire.documents import MAX_REGISTRIES
from p2pchat.wire.strict_json import JsonObject
from p2pchat.wire.usernames import check_username

_ENDS = events.Disconnected | events.CallFailed
_WITH_CONTACT = events.Calling | events.OfferReceived | events.Connected | events.Renamed

MAX_COMPARED = 100  # peers with whom words were compared, and of whom nothing was said yet


@attrs.define(eq=False)
class People:
    """
    The people of one node.

    :ivar own_id: our peer id.
    :ivar contacts: those who are kept.
    :ivar tell: takes each event.
    """

    own_id: str
    contacts: Contacts
    _signaling: SignalingGroup
    _endpoint: Endpoint
    tell: Callable[[events.NodeEvent], None]
    _compared: set[str] = attrs.Factory(set)  # words were shown to compare with them

    # -- names

    def name(self, session: PeerSession) -> str:
        """Return what a peer is called on the screen."""
        person = self.contacts[session.peer_id]
        return person.name if person.is_contact and person.name else session.name

    # -- who is meant

    def _here(self, sessions: Iterable[PeerSession] | None = None) -> Acquaintances:
        """Return who can be found without asking: contacts, and what is on the screen."""
        shown = self._endpoint.alive() if sessions is None else sessions
        names = {one.peer_id: "" if self._is_unseen(one) else self.name(one) for one in shown}
        return Acquaintances(self.contacts.names(), names)

    def _is_unseen(self, session: PeerSession) -> bool:
        """Tell whether a call waits that the person wasn't shown: only its id means it."""
        is_stranger = not self.is_contact(session.peer_id)
        return session.is_offered and is_stranger and session.is_quiet

    def find(self, who: str) -> str:
        """Return the id of the conversation, call or waiting offer meant, or of a contact."""
        return self._present(who, self._here().match(who))

    def find_known(self, who: str) -> str:
        """Return the id of a conversation, named by a whole id or by a contact's name."""
        return self._present(who, self._here().match_contact(who))

    def _present(self, who: str, peer_id: str | None) -> str:
        if peer_id is not None and any(one.peer_id == peer_id for one in self._endpoint.alive()):
            return peer_id
        others = self._mistaken_for(peer_id)
        if others:
            raise WhoError(
                f"your contact {who} isn't connected; somebody else has this name here: "
                f"{' or '.join(others)}"
            )
        if peer_id is not None and self.may_wait(peer_id):
            return peer_id
        raise WhoError(
            f"no conversation with {who!r}{hint_about(who) or f'; /connect {who} calls them'}"
        )

    def _mistaken_for(self, peer_id: str | None) -> list[str]:
        """Return the ids of those on the screen who could be taken for a contact."""
        return [
            one.peer_id
            for one in self._endpoint.alive()
            if peer_id and self.contacts.mistaken_for(one.peer_id, one.name) == peer_id
        ]

    def look_up(self, who: str) -> Deferred[tuple[str, str]]:
        """
        Find whom the person wants to call; a Deferred of the id, and the name if one is known.

        Who called us isn't found by name alone: the registry may know another of this name.
        """
        callers = [one for one in self._endpoint.alive() if one.approval.by is not By.PERSON]
        waiting = {one.peer_id: one.name for one in callers if not self._is_unseen(one)}
        shown = [one for one in self._endpoint.alive() if is_prefix(who) or one not in callers]
        peer_id = self._here(shown).match(who)
        if peer_id is None:
            asked: Deferred[tuple[str, str]] = look_up(who, self._signaling, self.own_id, waiting)
            return asked.addCallback(self._checked)
        names = {one.peer_id: one.name for one in self._endpoint.alive()}
        return succeed(self._checked((peer_id, names.get(peer_id) or self.contacts[peer_id].name)))

    def _checked(self, found: tuple[str, str]) -> tuple[str, str]:
        """Refuse to call ourselves, and whoever is blocked."""
        peer_id, name = found
        if peer_id == self.own_id:
            raise WhoError("that is your own id; a conversation needs two")
        if self.is_blocked(peer_id):
            raise WhoError(f"{name or peer_id} is blocked: /unblock {peer_id} first")
        return found

    def whom(self, who: str) -> str:
        """Return the id of a peer who is kept or on the screen, or of a whole id."""
        return self._whom(who)[0]

    def _whom(self, who: str) -> tuple[str, str]:
        """Return id and name of a peer who is kept or on the screen, or of a whole id."""
        here = self._here()
        kept = {one: person.name for one, person in self.contacts.people().items()}
        peer_id = here.match(who) or Acquaintances(kept, {}).match(who)
        if peer_id is None:
            raise WhoError(
                f"nobody here is called {who!r}{hint_about(who) or ': give the whole id'}"
            )
        if peer_id == self.own_id:
            raise WhoError("that is your own id")
        others = [] if is_prefix(who) or whole_id(who) else self._mistaken_for(peer_id)
        if others:
            raise WhoError(
                f"{who!r} is your contact {peer_id}, and on the screen is another of this name, "
                f"{' and '.join(others)}: give the id of whom you mean"
            )
        return peer_id, here.present.get(peer_id, "")

    # -- what is shown

    def describe(self, event: events.NodeEvent) -> events.NodeEvent:
        """Return an event as the person is to see it."""
        if not isinstance(event, events.PeerEvent) or isinstance(event, events.ContactChanged):
            return event
        person = self.contacts[event.peer_id]
        changes: JsonObject = {}
        if isinstance(event, _ENDS) and self.may_wait(event.peer_id):
            changes["waits"] = True
        if isinstance(event, events.MessageReceived) and person.is_quiet:
            changes["quiet"] = True
        if isinstance(event, _WITH_CONTACT):
            changes["contact"] = person.is_contact
            changes["mistaken_for"] = self.contacts.mistaken_for(event.peer_id, event.name)
        if person.is_contact and person.name not in {"", event.name}:
            changes["name"] = person.name
        return attrs.evolve(event, **changes) if changes else event

    def conversations(self) -> list[ConversationInfo]:
        """Return what is under way, and for whom lines wait, for a list on a screen."""
        alive = self._endpoint.alive()
        shown = (one for one in alive if one.is_offered or not one.is_for_services)
        found = [self._info(one) for one in shown if one.stage is not Stage.CLOSING]
        return found + self._away() if self._endpoint.context.is_lasting else found

    def _away(self) -> list[ConversationInfo]:
        sessions = self._endpoint.sessions.values()
        found = {one.peer_id: one.conversation.undelivered for one in sessions if not one.is_alive}
        found |= {one: len(state.undelivered) for one, state in self._endpoint.kept.items()}
        return [
            ConversationInfo(
                peer_id,
                self.contacts[peer_id].name,
                AWAY,
                undelivered=count,
                contact=self.is_contact(peer_id),
            )
            for peer_id, count in found.items()
            if count
        ]

    def _info(self, session: PeerSession) -> ConversationInfo:
        path, peer_id = session.path, session.peer_id
        return ConversationInfo(
            peer_id,
            self.name(session),
            session.shown_stage,
            "" if path is None else describe_path(path),
            in_ms(session.rtt),
            session.conversation.undelivered,
            self.is_contact(peer_id),
            self.contacts.mistaken_for(peer_id, session.name),
            session.is_offered and session.is_quiet,
        )

    def described(self, records: Iterable[PeerRecord]) -> list[PeerRecord]:
        """Return records as the person is to see them, contacts under their names here."""
        return [self._described_record(one) for one in records]

    def _described_record(self, record: PeerRecord) -> PeerRecord:
        person = self.contacts[record.peer_id]
        return attrs.evolve(
            record,
            contact=person.name if person.is_contact else "",
            mistaken_for=self.contacts.mistaken_for(record.peer_id, record.username),
        )

    # -- calls

    def is_blocked(self, peer_id: str) -> bool:
        """Tell whether nothing of a peer is taken."""
        return self.contacts[peer_id].is_blocked

    def may_wait(self, peer_id: str) -> bool:
        """Tell whether lines for a peer wait until it is there: it is a contact, and they last."""
        person, is_lasting = self.contacts[peer_id], self._endpoint.context.is_lasting
        return is_lasting and person.is_contact and not person.is_blocked

    def is_contact(self, peer_id: str) -> bool:
        """Tell whether the person knows a peer."""
        return self.contacts[peer_id].is_contact

    # -- contacts

    def connected(self, session: PeerSession) -> None:
        """Make a contact of one with whom the person chose to talk."""
        by_person = session.approval.by is By.PERSON
        if by_person and self._keep(lambda: self.contacts.keep(session.peer_id, session.name)):
            self._changed(session.peer_id, session.name, "added")

    def introduce(self, met: Acquaintance) -> str:
        """Make a contact of somebody met by an invitation, after saying who it is; the id."""
        peer_id, card = met.partner.peer_id, met.partner.card
        if not met.invited:  # who invites is found where the invitation is for
            named = dict.fromkeys((*card.registries, met.server))
            card = attrs.evolve(card, registries=tuple(named)[:MAX_REGISTRIES])
        former = self.contacts[met.replaces].name if met.replaces else ""
        service = "" if met.grant is None else met.grant.service
        self.tell(events.Paired(peer_id, card.username, met.invited, met.replaces, service))
        self._keep(lambda: self.contacts.introduce(peer_id, card, met.name, met.replaces) != "")
        if former and met.replaces != peer_id:
            self._changed(met.replaces, former, "replaced")
        return self._changed(peer_id, self.contacts[peer_id].name, "introduced")

    def contact_of(self, name: str) -> str:
        """Return the id of the contact that has this very name, or ""."""
        return self._here().match_contact(name) or "" if name else ""

    def rename(self, who_and_name: str) -> str:
        """
        Give a contact another name; returns its id.

        :param who_and_name: both may have blanks; the longest beginning that means a contact is it.
        :raises WhoError: it can't be done.
        """
        words = who_and_name.split()
        for count in range(len(words) - 1, 0, -1):
            who, name = " ".join(words[:count]), in_normal_form(" ".join(words[count:]))
            peer_id = self._contact(who)
            if peer_id is not None:
                self._rename(peer_id, name)
                return self._changed(peer_id, name, "renamed")
        raise WhoError(
            f"no contact and new name in {who_and_name!r}: /name WHO NAME; /contacts lists them"
        )

    def _contact(self, who: str) -> str | None:
        try:
            peer_id = self._here().match(who)
        except WhoError:
            return None
        return peer_id if peer_id is not None and self.is_contact(peer_id) else None

    def _rename(self, peer_id: str, name: str) -> None:
        try:
            check_username(name)
        except RemoteProtocolError as error:
            raise WhoError(f"{name!r} can't be a contact's name: {error}") from None
        if not self._keep(lambda: self.contacts.rename(peer_id, name)):
            raise WhoError(f"another contact has that name, or one that looks like it: {name!r}")

    def compare(self, peer_id: str, words: tuple[str, ...]) -> None:
        """Show words that the person is to compare with a peer's."""
        session = self._endpoint.sessions.get(peer_id)
        if len(self._compared) >= MAX_COMPARED:
            self._compared.clear()
        self._compared.add(peer_id)
        name = "" if session is None else session.name
        self.tell(events.VerificationWords(peer_id, name, words))

    def verified(self, peer_id: str, same: bool) -> None:
        """
        Remember what the person says of them.

        :raises WhoError: none were shown, or the peer is no contact.
        """
        if peer_id not in self._compared:
            raise WhoError("no words were compared with them: /verify shows some")
        if not self.is_contact(peer_id):
            raise WhoError("only what you say of a contact is kept, and they are none")
        self._compared.discard(peer_id)
        self._keep(lambda: self.contacts.verify(peer_id, same))
        self._changed(peer_id, self.contacts[peer_id].name, "verified" if same else "unverified")

    def forget(self, who: str) -> str:
        """
        Let a contact be a stranger again; returns its id.

        :raises WhoError: it is no contact.
        """
        peer_id, _name = self._whom(who)
        if not self.is_contact(peer_id):
            raise WhoError(f"{who} is not a contact; /contacts lists them")
        name = self.contacts[peer_id].name
        self._keep(lambda: self.contacts.forget(peer_id))
        return self._changed(peer_id, name, "forgotten")

    def relay_only(self, who: str, on: bool) -> str:
        """Hide our addresses from a contact, or no more; returns its id."""
        peer_id, _name = self._whom(who)
        if not self.is_contact(peer_id):
            raise WhoError(
                f"{who} is not a contact; --relay-only hides your addresses from anybody"
            )
        self._keep(lambda: self.contacts.relay(peer_id, on))
        change = "relay-only" if on else "direct"
        return self._changed(peer_id, self.contacts[peer_id].name, change)

    def mute(self, who: str, on: bool) -> str:
        """Let calls and messages of a peer make no sound, or one again; returns its id."""
        return self._mark(who, self.contacts.mute, on, "muted")

    def block(self, who: str, on: bool) -> str:
        """Take nothing of a peer any more, or again; returns its id."""
        return self._mark(who, self.contacts.block, on, "blocked")

    def _mark(self, who: str, mark: Callable[[str, str, bool], None], on: bool, word: str) -> str:
        peer_id, name = self._whom(who)
        name = self.contacts[peer_id].name or name
        self._keep(lambda: mark(peer_id, name, on))
        return self._changed(peer_id, name, word if on else f"un{word}")

    def listing(self) -> list[ContactInfo]:
        """Return everybody of whom anything is kept, contacts first, by name."""
        states = {one.peer_id: one.shown_stage for one in self._endpoint.alive()}
        found = [
            ContactInfo(
                *(peer_id, one.name, one.is_contact, one.is_muted, one.is_blocked),
                *(states.get(peer_id, ""), one.met, one.is_verified, one.before, one.is_relayed),
                registries=one.registries,
            )
            for peer_id, one in self.contacts.people().items()
        ]
        return sorted(found, key=lambda one: (not one.contact, one.name.casefold(), one.peer_id))

    def _keep(self, change: Callable[[], bool | None]) -> bool:
        """Change what is kept; tell whether that is anything new, and if there is no place."""
        try:
            return change() is not False
        except LocalProtocolError as error:
            self.tell(events.Trouble(f"the contact can't be saved: {error}"))
            return False

    def _changed(self, peer_id: str, name: str, change: str) -> str:
        one = self.contacts[peer_id]
        self.tell(
            events.ContactChanged(
                *(peer_id, name, change, one.is_contact, one.is_muted, one.is_blocked),
                *(one.met, one.is_verified),
            )
        )
        return peer_id
