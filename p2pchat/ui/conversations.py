"""
The conversations of one person: which is the current one, and what a command does.

Shared by console and JSON lines.  Everything the person is to see, the node's events included,
goes through ``announce`` in the order in which it happened.

The current conversation is the one that plain lines go to.

- ``/to``, ``/connect`` and ``/accept`` choose it.  A conversation that begins by itself becomes it
  only if there never was one.
- Text typed after ``/connect`` waits until the peer is found: it is meant for that peer.  Who is
  found becomes current unless the person has chosen another meanwhile; if nobody is, nobody does.
- When it ends, whoever ended it, there is none: what is being typed must not reach somebody else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure

from p2pchat.errors import P2PChatError, WhoError
from p2pchat.interfaces import INode
from p2pchat.peer import events
from p2pchat.peer.settings import ConversationInfo
from p2pchat.session.telling import sentences
from p2pchat.ui import answers, commands
from p2pchat.ui.json_requests import RequestId
from p2pchat.ui.troubles import COMMAND, WHO, trouble_of

OFFERED = "offered"  # the state of a ConversationInfo that waits for /accept
NOBODY = "You are talking to nobody"
_ENDS = events.Disconnected | events.CallFailed | events.OfferEnded
MAX_HELD = 1000  # lines for a peer who is looked for
MAX_NAMED = 5  # people in one sentence


@attrs.define(eq=False)
class _Search:
    """
    A ``/connect`` whose peer isn't found yet.

    :ivar texts: what was typed since, for this peer.
    """

    texts: list[tuple[str, RequestId]] = attrs.Factory(list)


@attrs.define
class Conversations:
    """
    Executes commands on a node and keeps the current conversation.

    :ivar announce: called with each event and answer.
    :ivar leave: called when the person wants to end the program.
    :ivar source: produces the node's events; paused while nobody reads what is announced.
    :ivar current: peer id of the current conversation, or "".
    :ivar request: the id of the request that is being done; what is announced meanwhile answers it.
    """

    _node: INode
    announce: Callable[[Any], None]
    leave: Callable[[], None]
    current: str = ""
    request: RequestId = None
    _chosen: bool = False  # whether there ever was a current conversation
    source: IPushProducer = attrs.field(init=False)
    _rang: str = ""  # whose call was shown last
    _gone: str = ""  # its name, if that call has ended
    _last: tuple[str, str] = ("", "")  # id and name of whom the last event was about
    _ended: bool = False
    _looking: _Search | None = None  # what plain lines go to until the peer is found

    def __attrs_post_init__(self) -> None:
        self.source = self._node.listen(self._take_event)

    def end(self) -> None:
        """Obey no more, since the person has left; what happens is announced as before."""
        self._ended = True

    def type(self, line: str, request: RequestId = None) -> None:
        """Do what a typed line asks for."""
        command = commands.parse(line)
        if command is not None:
            self.execute(command, request)

    def execute(self, command: commands.Command, request: RequestId = None) -> None:
        """Do what a command asks for; what goes wrong is announced."""
        if not self._ended:
            self._do(request, _EFFECTS[type(command)], self, command)

    def say_to(self, who: str, text: str, request: RequestId = None) -> None:
        """Send a text to a conversation, whichever is current."""
        if not self._ended:
            self._do(request, lambda: self._node.send(self._node.find_known(who), text))

    def refuse(self, trouble: events.Trouble, request: RequestId = None) -> None:
        """Say that a request can't be done."""
        if not self._ended:
            self._do(request, self.announce, trouble)

    def _do(self, request: RequestId, effect: Callable[..., object], *arguments: object) -> None:
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
        return lambda result: self._do(request, callback, result)

    def name_of(self, peer_id: str) -> str:
        """Return what a peer of a conversation calls itself, or the beginning of its id."""
        names = {info.peer_id: info.name for info in self._open()}
        return names.get(peer_id) or dict([self._last]).get(peer_id) or peer_id[:8]

    # Events.

    def _take_event(self, event: Any) -> None:
        self.announce(event)
        if hasattr(event, "name"):
            self._last = (event.peer_id, event.name)
        if isinstance(event, events.OfferReceived) and (event.contact or not event.quiet):
            self._rang, self._gone = event.peer_id, ""
        elif isinstance(event, events.OfferEnded) and event.peer_id == self._rang:
            self._gone = event.name
        if isinstance(event, events.Connected) and not (self._chosen or self._looking):
            self._make_current(event.peer_id)
        elif isinstance(event, _ENDS) and event.peer_id == self.current:
            self._make_current("")

    def _choose(self, peer_id: str) -> None:
        """Make the one current whom a command names; whoever is being looked for isn't any more."""
        self._looking = None
        self._make_current(peer_id, is_answer=self.request is not None)

    def _choose_by(self, find: Callable[[], str]) -> None:
        """Choose whom a command names; if there is none, nobody: what follows is for no other."""
        try:
            peer_id = find()
        except P2PChatError:
            self._looking = None
            self._do(None, self._make_current, "")
            raise
        self._choose(peer_id)

    def _make_current(self, peer_id: str, is_answer: bool = False) -> None:
        if peer_id != self.current or is_answer:
            self.current, self._chosen = peer_id, True
            name = self.name_of(peer_id) if peer_id else ""
            self.announce(answers.CurrentConversation(peer_id, name))

    # Commands.

    def _say(self, command: commands.Say) -> None:
        if self._looking is not None and len(self._looking.texts) >= MAX_HELD:
            raise WhoError(f"{MAX_HELD} lines wait for whom you call; this one wasn't kept.")
        if self._looking is not None:
            self._looking.texts.append((command.text, self.request))
        elif self.current:
            self._node.send(self.current, command.text)
        else:
            raise WhoError(f"{NOBODY}, and nothing was sent: {self._advice()}")

    def _advice(self) -> str:
        open_now = [info for info in self._open() if info.state != OFFERED]
        offers = self._shown()
        if offers:
            return f"{_names(offers)} wants to talk; /accept or /reject."
        if open_now:
            return f"choose with /to WHO; connected: {_names(open_now)}."
        return "/connect WHO calls somebody, /peers lists who is online."

    def _help(self, _command: commands.Help) -> None:
        self.announce(answers.CommandList(commands.USAGE))

    def _list_peers(self, _command: commands.ListPeers) -> None:
        found = maybeDeferred(self._node.peers)
        listed = self._later(lambda records: self.announce(answers.PeerList(tuple(records))))
        found.addCallbacks(listed, self._later(self._failed))

    def _connect(self, command: commands.Connect) -> None:
        # If nobody is found, what is being typed was meant for nobody else; the answer comes later.
        self._do(None, self._make_current, "")
        search, self._chosen = _Search(), True
        self._looking = search
        call = maybeDeferred(self._node.connect, command.who)
        found = self._later(lambda peer_id: self._called(peer_id, search))
        call.addCallbacks(found, self._later(lambda failure: self._not_called(failure, search)))

    def _called(self, peer_id: str, search: _Search) -> None:
        if search is self._looking:
            self._choose(peer_id)
        else:  # the person has chosen another: the answer says whom
            self._make_current(self.current, is_answer=self.request is not None)
        for text, request in search.texts:
            self._do(request, self._node.send, peer_id, text)

    def _not_called(self, failure: Failure, search: _Search) -> None:
        if search is self._looking:
            self._looking = None
        self._failed(failure)
        for text, request in search.texts:
            self._do(request, self._complain, f"Not sent, since nobody was called: {text}", WHO)

    def _accept(self, command: commands.Accept) -> None:
        self._choose_by(lambda: self._node.accept(command.who or self._only_offer()))

    def _reject(self, command: commands.Reject) -> None:
        peer_id = self._node.find(command.who or self._only_offer())
        name = self.name_of(peer_id)
        self.announce(answers.Rejected(self._node.reject(peer_id), name))

    def _only_offer(self) -> str:
        """Return who is meant by an answer without a name: the one whose call the person saw."""
        shown, unseen = self._shown(), len(self._waiting()) - len(self._shown())
        known = [info for info in shown if info.contact]
        if not shown and unseen:
            raise WhoError(f"{unseen} wait whom you weren't told of: /me lists them.")
        if not shown:
            raise WhoError("Nobody is waiting to be accepted.")
        gone, self._gone = self._gone, ""
        if gone:
            raise WhoError(f"{gone} doesn't call any more; say whom you mean: {_names(shown)}.")
        if len(known) == 1:
            return known[0].peer_id  # strangers don't stand in a contact's way
        if len(shown) > 1:
            raise WhoError(f"Several are waiting; name one of them: {_names(known or shown)}.")
        return shown[0].peer_id

    def _switch(self, command: commands.SwitchTo) -> None:
        self._choose_by(lambda: self._talking(command.who))

    def _talking(self, who: str) -> str:
        peer_id = self._node.find(who)
        waiting = [info for info in self._waiting() if info.peer_id == peer_id]
        if waiting:
            raise WhoError(f"{_names(waiting)} waits for your /accept or /reject.")
        return peer_id

    def _disconnect(self, command: commands.Disconnect) -> None:
        if not command.who and not self.current:
            raise WhoError(f"{NOBODY}: /disconnect WHO ends another conversation.")
        self._node.disconnect(self._node.find(command.who) if command.who else self.current)

    def _list_contacts(self, _command: commands.ListContacts) -> None:
        self.announce(answers.ContactList(tuple(self._node.contacts())))

    def _forget(self, command: commands.Forget) -> None:
        self._node.forget(command.who)

    def _block(self, command: commands.Block) -> None:
        self._node.block(command.who)

    def _unblock(self, command: commands.Unblock) -> None:
        self._node.block(command.who, False)

    def _mute(self, command: commands.Mute) -> None:
        self._node.mute(command.who)

    def _unmute(self, command: commands.Unmute) -> None:
        self._node.mute(command.who, False)

    def _show_me(self, _command: commands.ShowMe) -> None:
        node = self._node
        conversations = tuple(self._open())
        self.announce(answers.Me(node.peer_id, node.username, node.server, conversations))

    def _show_nat(self, _command: commands.ShowNat) -> None:
        nat = self._node.nat()
        self.announce(answers.Nat(**attrs.asdict(nat, recurse=False)))

    def _show_why(self, command: commands.ShowWhy) -> None:
        peer_id = self._story_owner(command.who) if command.who else self.current or self._last[0]
        if not peer_id:
            raise WhoError("There was no connection yet.")
        facts = self._node.why(peer_id)
        story = tuple(sentences(facts))
        self.announce(answers.Story(peer_id, self.name_of(peer_id), story, facts))

    def _story_owner(self, who: str) -> str:
        try:
            return self._node.find(who)
        except WhoError:
            # A call that failed is no conversation any more, but the node knows its story by id.
            peer_id, name = self._last
            if name == who or (peer_id and peer_id.startswith(who.lower())):
                return peer_id
            raise

    def _quit(self, _command: commands.Quit) -> None:
        self.leave()

    def _admit(self, command: commands.Mistake) -> None:
        self._complain(command.reason, COMMAND)

    def _show_more(self, _command: commands.ShowMore) -> None:
        self.announce(answers.More())

    # What is left.

    def _open(self) -> list[ConversationInfo]:
        return self._node.conversations()

    def _waiting(self) -> list[ConversationInfo]:
        return [info for info in self._open() if info.state == OFFERED]

    def _shown(self) -> list[ConversationInfo]:
        """Return those who wait and of whom the person knows."""
        return [info for info in self._waiting() if info.contact or not info.quiet]

    def _failed(self, failure: Failure) -> None:
        self.announce(trouble_of(failure))

    def _complain(self, reason: str, word: str) -> None:
        self.announce(events.Trouble(reason, word))


_EFFECTS: dict[type, Callable[[Conversations, Any], None]] = {
    commands.Say: Conversations._say,
    commands.Help: Conversations._help,
    commands.ListPeers: Conversations._list_peers,
    commands.Connect: Conversations._connect,
    commands.Accept: Conversations._accept,
    commands.Reject: Conversations._reject,
    commands.SwitchTo: Conversations._switch,
    commands.Disconnect: Conversations._disconnect,
    commands.ListContacts: Conversations._list_contacts,
    commands.Forget: Conversations._forget,
    commands.Block: Conversations._block,
    commands.Unblock: Conversations._unblock,
    commands.Mute: Conversations._mute,
    commands.Unmute: Conversations._unmute,
    commands.ShowMe: Conversations._show_me,
    commands.ShowNat: Conversations._show_nat,
    commands.ShowWhy: Conversations._show_why,
    commands.ShowMore: Conversations._show_more,
    commands.Quit: Conversations._quit,
    commands.Mistake: Conversations._admit,
}


def _names(conversations: list[ConversationInfo]) -> str:
    shown = [_named(info) for info in conversations[:MAX_NAMED]]
    more = len(conversations) - MAX_NAMED
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _named(info: ConversationInfo) -> str:
    warning = ", not your contact" if info.mistaken_for else ""
    return f"{info.name} ({info.peer_id[:8]}{warning})"
