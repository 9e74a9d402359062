"""
The requests of a person or a program, carried out on the node.

Shared by all front ends.  Results and errors are announced alike.  Whom a request means that names
nobody is decided in :mod:`p2pchat.ui.cursor`.

Text typed after ``/connect`` waits until the peer is found: it is meant for that peer.  Who is
found becomes current unless the person has chosen another meanwhile; if nobody is, nobody does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat.attach.refusals import REFUSED, word_of
from p2pchat.errors import (
    InvitationRefused,
    P2PChatError,
    RegistryError,
    StorageFailed,
    TextTooLong,
    TooManyLines,
    TransferRefused,
    WhoError,
)
from p2pchat.events import MessageSent, NodeEvent, Trouble, VerificationWords
from p2pchat.interfaces import INode
from p2pchat.peer.pasted import bare, beginning, whole_id
from p2pchat.peer.settings import ContactInfo, InvitationInfo
from p2pchat.session.explanation import sentences
from p2pchat.session.stored import About
from p2pchat.ui import results
from p2pchat.ui.commands import USAGE, Command, InviteOptions, Mistake, Say, Verb, is_secret, parse
from p2pchat.ui.cursor import OFFERED, Cursor, advice, names
from p2pchat.ui.history_requests import HistoryRequests
from p2pchat.ui.json_form import RequestId
from p2pchat.ui.line_requests import LineRequests
from p2pchat.ui.reading import ShownLines
from p2pchat.ui.service_requests import ServiceRequests
from p2pchat.ui.transfer_requests import TransferRequests
from p2pchat.wire.usernames import comparable

NOBODY = "there is no current conversation"
MAX_HELD = 1000  # lines for a peer who is looked for

_log = Logger()


# What was typed since a ``/connect`` whose peer isn't found yet, for this peer.
_Held = list[tuple[str, RequestId]]


@attrs.define
class Requests:
    """
    The requests of one front end.

    :ivar announce: called with each result.
    :ivar leave: called when this front end is to end.
    :ivar cursor: whom a line is for that names nobody.
    :ivar request: the id of the request that is being done; what is announced meanwhile answers it.
    """

    _node: INode
    announce: Callable[[Any], None]
    leave: Callable[[], None]
    cursor: Cursor = attrs.Factory(Cursor)
    request: RequestId = None
    history: HistoryRequests = attrs.field(init=False)
    reading: ShownLines = attrs.field(init=False)
    lines: LineRequests = attrs.field(init=False)
    services: ServiceRequests = attrs.field(init=False)
    transfers: TransferRequests = attrs.field(init=False)
    _ended: bool = False
    _comparing: str = ""  # with whom words were compared last
    _held: _Held | None = None  # what plain lines go to while a peer is looked for
    _sending: dict[str, RequestId] = attrs.Factory(dict)  # by the ids of lines, until they're told
    _last_sent: str = ""  # id of the line that was told last

    def __attrs_post_init__(self) -> None:
        self.reading = ShownLines(self._node)
        self.lines = LineRequests(self._node, self.announce, self._answer, self._send)
        self.services = ServiceRequests(self._node, self.announce, self._answer)
        self.transfers = TransferRequests(self._node, self.announce, self._answer)
        known = self.lines.known
        self.history = HistoryRequests(self._node, self.announce, self._answer, known)

    def end(self) -> None:
        """Ignore further requests: the person has left."""
        self._ended = True

    def type(self, line: str, request: RequestId = None) -> None:
        """Do what a typed line asks for."""
        meant = parse(line)
        if meant is not None:
            self.execute(meant, request)

    def execute(self, line: Say | Command | Mistake, request: RequestId = None) -> None:
        """Do what a line asks for; what goes wrong is announced."""
        match line:
            case Say(text):
                self._do(request, self._say, text)
            case Command(verb, who):
                self._do(request, _EFFECTS[verb], self, who)
            case Mistake(reason):
                self.refuse(Trouble(reason, results.COMMAND), request)

    def say_to(self, who: str, text: str, request: RequestId = None) -> None:
        """Send a text to a conversation, whichever is current."""
        self._do(request, lambda: self._send(self._node.find_known(who), text))

    def indicate_typing(self, peer_id: str) -> None:
        """Somebody types a line for a peer."""
        if not self._ended:
            self._node.indications.typing(peer_id)

    def refuse(self, trouble: Trouble, request: RequestId = None) -> None:
        """Answer a request that can't be carried out."""
        self._do(request, self.announce, trouble)

    def contacts(self) -> list[ContactInfo]:
        """Return whom the person knows, has muted or has blocked."""
        return self._node.contacts()

    def follow(self, event: NodeEvent) -> None:
        """Take an event of the node, after it was shown."""
        self.lines.known.receive(event)
        if isinstance(event, MessageSent):
            self._last_sent = event.id
            self._sending.pop(event.id, None)
        if isinstance(event, VerificationWords):
            self._comparing = event.peer_id
        self._make_current(self.cursor.follow(event))

    def request_of(self, value: Any) -> RequestId:
        """Return the id of the request that brought an event or a result about."""
        is_sent = isinstance(value, MessageSent)
        return self._sending.get(value.id, self.request) if is_sent else self.request

    def _do(self, request: RequestId, effect: Callable[..., object], *arguments: object) -> None:
        if not self._ended:
            self._go_on(request, effect, *arguments)

    def _go_on(self, request: RequestId, effect: Callable[..., object], *arguments: object) -> None:
        outer, self.request = self.request, request
        try:
            effect(*arguments)
        except Exception:  # a fault of ours must not cost the person the console
            self._failed(Failure())
        finally:
            self.request = outer

    def _later(self, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a callback that goes on with the request that is being done now."""
        request = self.request
        return lambda result: self._go_on(request, callback, result)

    def _answer(self, found: Deferred[Any], show: Callable[[Any], None]) -> None:
        """Let what is found later answer the request that is being done now."""
        found.addCallbacks(self._later(show), self._later(self._failed))

    def _failed(self, failure: Failure) -> None:
        self.announce(trouble_of(failure))

    # Whom it is for.

    def _name_of(self, peer_id: str) -> str:
        """Return what a peer of a conversation calls itself, or the beginning of its id."""
        known = {info.peer_id: info.name for info in self._node.conversations()}
        return known.get(peer_id) or dict([self.cursor.last]).get(peer_id) or peer_id[:8]

    def _make_current(self, peer_id: str, is_answer: bool = False) -> None:
        if peer_id != self.cursor.current or is_answer:
            self.cursor.current, self.cursor.was_chosen = peer_id, True
            name = self._name_of(peer_id) if peer_id else ""
            self.announce(results.CurrentConversation(peer_id, name))

    def _choose(self, peer_id: str) -> None:
        """Make the one current whom a command names; whoever is being looked for isn't any more."""
        self._held = None
        self._make_current(peer_id, is_answer=self.request is not None)

    def _choose_by(self, find: Callable[[], str]) -> None:
        """Choose whom a command names; if there is none, nobody: what follows is for no other."""
        try:
            peer_id = find()
        except P2PChatError:
            self._held = None
            self._go_on(None, self._make_current, "")
            raise
        self._choose(peer_id)

    def _caller(self, who: str) -> str:
        return who or self.cursor.only_offer(self._node.conversations())

    # Commands.

    def _say(self, text: str) -> None:
        if self._held is not None and len(self._held) >= MAX_HELD:
            raise WhoError(f"Not sent: {MAX_HELD} messages wait for whom you call.")
        if self._held is not None:
            self._held.append((text, self.request))
        elif self.cursor.current:
            self._send(self.cursor.current, text)
        elif is_secret(text):
            raise WhoError(f"Not sent: {NOBODY}; to use an invitation, /join and the line.")
        else:
            todo = advice(self._node.conversations())
            raise WhoError(f"Not sent: {NOBODY}; {todo}")

    def _send(self, peer_id: str, text: str, about: About | None = None) -> None:
        """Say something; that it is stored is told later, as the answer to the request of now."""
        name = self._node.send(peer_id, text, about)
        if self.request is not None and name != self._last_sent:
            self._sending[name] = self.request

    def _list_peers(self, _who: str) -> None:
        self._answer(
            maybeDeferred(self._node.peers),
            lambda records: self.announce(results.PeerList(tuple(records))),
        )

    def _connect(self, who: str) -> None:
        # If nobody is found, what is being typed was meant for nobody else; the answer comes later.
        self._go_on(None, self._make_current, "")
        self.cursor.was_chosen = True
        held: _Held = []
        self._held = held
        found = self._later(lambda peer_id: self._called(peer_id, held))
        vain = self._later(lambda failure: self._not_called(failure, held))
        maybeDeferred(self._node.connect, who).addCallbacks(found, vain)

    def _called(self, peer_id: str, held: _Held) -> None:
        if held is self._held:
            self._choose(peer_id)
        else:  # the person has chosen another: the answer says whom
            self._make_current(self.cursor.current, is_answer=self.request is not None)
        for text, request in held:
            self._go_on(request, self._send, peer_id, text)

    def _not_called(self, failure: Failure, held: _Held) -> None:
        if held is self._held:
            self._held = None
        self._failed(failure)
        for text, request in held:
            unsent = Trouble(f"Not sent, since the call failed: {text}", results.WHO)
            self._go_on(request, self.announce, unsent)

    def _invite(self, text: str) -> None:
        wanted = InviteOptions.parse(text)
        known = self._node.contact_of(wanted.name)
        if known and not wanted.replaces:
            raise InvitationRefused(
                f"{wanted.name} is your contact already ({known[:8]}): if whoever joins shall take "
                f"that place, with another key, /invite {wanted.name} --replace"
            )
        if wanted.replaces and not known:
            raise InvitationRefused("--replace needs the name of a contact; /contacts lists them")
        asked = wanted.name, wanted.seconds, wanted.is_spoken, known, wanted.grant
        made = maybeDeferred(self._node.invitations.invite, *asked)
        made.addCallbacks(self._later(self._invited), self._later(self._failed))

    def _invited(self, info: InvitationInfo) -> None:
        shown = info.line, info.nameplate, info.is_spoken, info.expires_at, info.name
        grant = info.grant
        granted = ("", None) if grant is None else (grant.service, grant.lifetime)
        self.announce(results.InvitationMade(*shown, *granted))

    def _uninvite(self, which: str) -> None:
        withdrawn = maybeDeferred(self._node.invitations.withdraw, which)
        withdrawn.addErrback(self._later(self._failed))

    def _join(self, line: str) -> None:
        self.cursor.was_chosen = True
        current = self.cursor.current
        joined = self._later(lambda peer_id: self._joined(peer_id, current))
        maybeDeferred(self._node.invitations.join, line).addCallbacks(
            joined, self._later(self._failed)
        )

    def _joined(self, peer_id: str, former: str) -> None:
        self.announce(results.Joined(peer_id, self._name_of(peer_id)))
        if self.cursor.current == former and self._held is None:  # nobody else was chosen meanwhile
            self._make_current(peer_id)

    def _verify(self, who: str) -> None:
        same = {"yes": True, "no": False}.get(who.lower())
        if same is not None:
            if not self._comparing:
                raise WhoError("no words were compared yet: /verify shows some")
            self._node.verified(self._comparing, same)
            return
        if not who and not self.cursor.current:
            raise WhoError(f"{NOBODY}; /verify WHO names another")
        self._node.verify(who or self.cursor.current)

    def _accept(self, who: str) -> None:
        files = self.transfers.offered(who, self._node.conversations())
        if files is not None:
            self._node.transfers.accept(files.number)
        else:
            self._choose_by(lambda: self._node.accept(self._caller(who)))

    def _reject(self, who: str) -> None:
        files = self.transfers.offered(who, self._node.conversations())
        if files is not None:
            self._node.transfers.refuse(files.number)
            return
        peer_id = self._node.find(self._caller(who))
        name = self._name_of(peer_id)
        self.announce(results.Rejected(self._node.reject(peer_id), name))

    def _switch(self, who: str) -> None:
        self._choose_by(lambda: self._talking(who))

    def _talking(self, who: str) -> str:
        peer_id, under_way = self._node.find(who), self._node.conversations()
        waiting = [one for one in under_way if (one.peer_id, one.state) == (peer_id, OFFERED)]
        if waiting:
            raise WhoError(f"{names(waiting)} is calling: /accept or /reject first.")
        return peer_id

    def _read(self, who: str) -> None:
        self.reading.seen(self._meant(who))

    def _type(self, who: str) -> None:
        self._node.indications.typing(self._meant(who))

    def _meant(self, who: str) -> str:
        if not who and not self.cursor.current:
            raise WhoError(f"{NOBODY}; WHO behind the command names another")
        return self._node.whom(who) if who else self.cursor.current

    def _relay_only(self, argument: str) -> None:
        who, _, word = argument.rpartition(" ")
        if not who or word not in {"on", "off"}:
            raise WhoError("/relay-only needs a contact, and on or off")
        self._node.relay_only(who.strip(), word == "on")

    def _set_privacy(self, argument: str) -> None:
        indications = self._node.indications
        what, _, word = argument.rpartition(" ")
        if argument and word not in {"on", "off"}:
            raise WhoError(f"{argument!r} switches nothing: /privacy typing off, for instance")
        if argument:
            indications.switch(what.strip(), word == "on")
        self.announce(results.PrivacySwitches(*attrs.astuple(indications.privacy())))

    def _disconnect(self, who: str) -> None:
        if not who and not self.cursor.current:
            raise WhoError(f"{NOBODY}; /disconnect WHO ends another")
        self._node.disconnect(self._node.find(who) if who else self.cursor.current)

    def _show_me(self, _who: str) -> None:
        node = self._node
        conversations = tuple(node.conversations())
        who = node.peer_id, node.username, node.server
        invitations = tuple(
            results.OpenInvitation(one.nameplate, one.name, one.is_spoken, one.expires_at)
            for one in node.invitations.open()
        )
        registries = tuple(node.registries())
        size = node.history.size()
        self.announce(results.Me(*who, conversations, size, invitations, registries))

    def _show_why(self, who: str) -> None:
        recent = self.cursor.current or self.cursor.last[0]
        peer_id = self._story_owner(who) if who else recent
        if not peer_id:
            raise WhoError("There was no call yet.")
        facts = self._node.why(peer_id)
        story = tuple(sentences(facts))
        self.announce(results.Explanation(peer_id, self._name_of(peer_id), story, facts))

    def _story_owner(self, who: str) -> str:
        try:
            return self._node.find(who)
        except WhoError:
            # A call that failed is no conversation any more, but the node knows its story by id.
            peer_id, name = self.cursor.last
            is_id = peer_id.startswith(whole_id(who) or beginning(who))
            if peer_id and (is_id or comparable(name) == comparable(bare(who))):
                return peer_id
            raise


_EFFECTS: dict[Verb, Callable[[Requests, str], object]] = {
    Verb.HELP: lambda ours, _: ours.announce(results.CommandList(USAGE)),
    Verb.PEERS: Requests._list_peers,
    Verb.CONNECT: Requests._connect,
    Verb.ACCEPT: Requests._accept,
    Verb.REJECT: Requests._reject,
    Verb.TO: Requests._switch,
    Verb.HISTORY: lambda ours, argument: ours.history.show(argument, ours.cursor.current),
    Verb.OLDER: lambda ours, argument: ours.history.older(argument, ours.cursor.current),
    Verb.SEARCH: lambda ours, words: ours.history.search(words),
    Verb.READ: Requests._read,
    Verb.REPLY: lambda ours, argument: ours.lines.reply(argument, ours.cursor.current),
    Verb.EDIT: lambda ours, argument: ours.lines.edit(argument, ours.cursor.current),
    Verb.DELETE: lambda ours, argument: ours.lines.delete(argument, ours.cursor.current),
    Verb.TYPING: Requests._type,
    Verb.PRIVACY: Requests._set_privacy,
    Verb.INVISIBLE: lambda ours, word: ours._set_privacy(f"invisible {word}"),
    Verb.OUTBOX: lambda ours, who: ours.history.outbox(who),
    Verb.EXPORT: lambda ours, argument: ours.history.export(argument),
    Verb.WIPE: lambda ours, who: ours.history.wipe(who),
    Verb.SEND: lambda ours, argument: ours.transfers.send(argument, ours.cursor.current),
    Verb.FILES: lambda ours, _: ours.transfers.list(),
    Verb.CANCEL: lambda ours, which: ours.transfers.cancel(which),
    Verb.DISCONNECT: Requests._disconnect,
    Verb.CONTACTS: lambda ours, _: ours.announce(results.ContactList(tuple(ours._node.contacts()))),
    Verb.NAME: lambda ours, who: ours._node.rename(who),
    Verb.VERIFY: Requests._verify,
    Verb.INVITE: Requests._invite,
    Verb.UNINVITE: Requests._uninvite,
    Verb.JOIN: Requests._join,
    Verb.FORGET: lambda ours, who: ours._node.forget(who),
    Verb.RELAY_ONLY: Requests._relay_only,
    Verb.BLOCK: lambda ours, who: ours._node.block(who),
    Verb.UNBLOCK: lambda ours, who: ours._node.block(who, False),
    Verb.MUTE: lambda ours, who: ours._node.mute(who),
    Verb.UNMUTE: lambda ours, who: ours._node.mute(who, False),
    Verb.GRANT: lambda ours, argument: ours.services.grant(argument),
    Verb.REVOKE: lambda ours, argument: ours.services.revoke(argument),
    Verb.GRANTS: lambda ours, argument: ours.services.grants(argument),
    Verb.SERVICES: lambda ours, who: ours.services.services(who),
    Verb.STREAMS: lambda ours, argument: ours.services.streams(argument),
    Verb.ME: Requests._show_me,
    Verb.NAT: lambda ours, _: ours.announce(
        results.Nat(**attrs.asdict(ours._node.nat(), recurse=False))
    ),
    Verb.WHY: Requests._show_why,
    Verb.MORE: lambda ours, _: ours.announce(results.More()),
    Verb.QUIT: lambda ours, _: ours.leave(),
}


_WORDS: dict[type[P2PChatError], str] = {
    WhoError: results.WHO,
    InvitationRefused: results.INVITATION,
    TextTooLong: results.TOO_LONG,
    TooManyLines: results.TOO_MANY,
    StorageFailed: results.STORAGE,
    TransferRefused: results.FILES,
}


def trouble_of(failure: Failure) -> Trouble:
    """Return what is shown of an error; one that isn't ours is a fault, and is logged."""
    error = failure.value
    if isinstance(error, P2PChatError):
        return Trouble(str(error), _word(error))
    _log.failure("a command failed", failure)
    text = "Internal error; the log has the details (--log FILE)."
    return Trouble(text, results.INTERNAL)


def _word(error: P2PChatError) -> str:
    if isinstance(error, RegistryError):
        return error.reason
    found = next((word for kind, word in _WORDS.items() if isinstance(error, kind)), "")
    return found or _word_of_service(error)


def _word_of_service(error: P2PChatError) -> str:
    word = word_of(error)
    return "" if word == REFUSED else word
