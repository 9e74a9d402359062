"""
Events and results as sentences for a person.

Pure.  Every text that may come from somebody else goes through :mod:`p2pchat.wire.visible` here,
but for messages, which may be long: the layout does it for as much of them as it shows.  Who is
called what is the matter of :mod:`p2pchat.ui.display_names`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import attrs

from p2pchat import events
from p2pchat.natcheck.reading import nat_rows
from p2pchat.peer.settings import (
    AWAY,
    DEFAULT_SERVER,
    ContactInfo,
    ConversationInfo,
    RegistryInfo,
)
from p2pchat.peer.signaling import PeerRecord
from p2pchat.peer.storage.history import HistoryLine
from p2pchat.ui import results
from p2pchat.ui.display_names import SHORT_ID, YOU, DisplayNames
from p2pchat.ui.known_lines import KnownLines
from p2pchat.ui.layout import Colour, Entry
from p2pchat.ui.line_lists import list_lines, read_note
from p2pchat.ui.mail_wording import mailed, not_mailed
from p2pchat.ui.presence_wording import came, presence_facts, record_state, switched
from p2pchat.ui.qr import qr_rows
from p2pchat.ui.quoting import about, quote
from p2pchat.ui.sentences import MAX_EXCERPT, MAX_EXCERPTS, excerpt, excerpts, sentence, table
from p2pchat.ui.service_wording import SAYINGS, invited, shared
from p2pchat.ui.transfer_wording import TransferSayings
from p2pchat.wire.visible import visible, visible_name

MAX_RECEIVERS = 100  # peers whose messages are remembered until they are delivered, to quote them
LATE_DELIVERY = 2000.0  # milliseconds; a delivery that took longer is told, others aren't, ...
BEGINNINGS = "Words are found whole; wor* finds all that begin so."
LATE_RTTS = 4  # ... nor one that took so many round trips of its path

_CHANGES = {
    "added": "Added {who} to your contacts: from now on the name means this id.",
    "introduced": "Added {who} to your contacts, by invitation: the name means this id now.",
    "replaced": "{who} is no contact any more: another id has this name now.",
    "renamed": "That contact is {who} now.",
    "verified": "Verified {who}: you both saw the same words.",
    "unverified": "{who} is not verified: you saw different words, so this may be somebody else.",
    "forgotten": "Removed {who} from your contacts. Whom you call or accept becomes one again.",
    "relay-only": "From the next connection on {who} learns no address of yours but a relay's.",
    "direct": "You connect to {who} directly again: each learns the other's addresses.",
    "muted": "Muted {who}: their calls and messages make no sound.",
    "unmuted": "Unmuted {who}.",
    "blocked": "Blocked {who}: their calls and messages are ignored. /unblock undoes it.",
    "unblocked": "Unblocked {who}.",
}
_SAVED = {
    "identity": "a new identity",
    "username": "your name",
    "server": "the registry",
    "servers": "the other registries",
}
_STATES = {
    "calling": "calling",
    "ringing": "ringing",
    "offered": "calls you: /accept or /reject",
    "open": "connected",
    "reconnecting": "reconnecting",
    AWAY: "away",
}
_PACKETS = {  # those of the size that a link needs
    "fragmented": ", with packets in fragments",
    "too-small": ", because the direct path carries small packets only",
}
_REGISTRY_STATES = {
    "away": "away, retrying",
    "displaced": "another program of yours is there in your place",
    "guest": "for a while, for a contact",
    "starting": "not reached yet",
}
_UNREACHABLE = "can't be reached: "  # why not follows, where the registry didn't answer

Entries = Iterator[Entry]


def _note(text: str, colour: Colour = Colour.FAINT) -> Entry:
    return Entry((text,), colour)


def _listing(rows: list[str]) -> Entries:
    return (Entry((row,), stamped=False) for row in rows)


@attrs.define
class Wording:
    """
    The sentences of one console, and what of them matters to those that follow.

    A change of our NAT goes without saying; ``/nat`` tells.

    :ivar username: what we call ourselves.
    :ivar room: columns and rows that there are for a QR code; None: nobody could see one.
    :ivar has_prompt: a prompt says who is current, so that rows needn't.
    """

    username: str
    has_prompt: bool = True
    room: Callable[[], tuple[int, int]] | None = None
    _names: DisplayNames = attrs.field(init=False)
    _known: KnownLines = attrs.Factory(KnownLines)
    _transfers: TransferSayings = attrs.Factory(TransferSayings)
    _current: str = ""
    _open: set[str] = attrs.Factory(set)
    _paths: dict[str, events.PathFound] = attrs.Factory(dict)
    _texts: dict[str, dict[str, str]] = attrs.Factory(dict)  # ours on their way, by peer and id
    _brought: set[str] = attrs.Factory(set)  # to whom go lines that an earlier run has said
    _hinted: str = ""  # from whom a message came last that wasn't the current one
    _lost: set[str] = attrs.Factory(set)  # registries of which it was told that they are away
    _servers: set[str] = attrs.Factory(set)  # at which we have been registered
    _peer_id: str = ""  # ours, as far as anything has said

    def __attrs_post_init__(self) -> None:
        self._names = DisplayNames(visible_name(self.username))

    def say(self, value: Any) -> list[Entry]:
        """
        Return what a person is told of an event or result; of some, nothing.

        The method for each has its NAME, as in ``_say_connected``; those of services have SAYINGS.
        """
        if value.NAME in SAYINGS:
            return list(SAYINGS[value.NAME](value, self._names))
        if (about_files := self._transfers.say(value, self._names)) is not None:
            return about_files
        if hasattr(value, "name") and value.peer_id:
            self._names.learn(value)
        wording: Callable[[Any], Entries] = getattr(self, f"_say_{value.NAME}")
        said = list(wording(value))
        self._known.receive(value)
        return said

    def meet(self, contacts: Iterable[ContactInfo]) -> None:
        """Take the names of contacts, whom events may tell of by their ids."""
        for one in contacts:
            if one.contact:
                self._names.learn(one)

    def label(self, peer_id: str) -> str:
        """Return a name that means one peer only."""
        return self._names.label(peer_id)

    def prompt(self, status: str = "") -> str:
        """Return what stands before the line that is being typed; beside the name, a status."""
        beside = f" ({status})" if status else ""
        return f"{self.label(self._current)}{beside}> " if self._current else "> "

    def undelivered(self, peer_id: str, texts: Sequence[str]) -> list[Entry]:
        """Return the warning that messages aren't confirmed although there is a conversation."""
        quoted = excerpts(list(map(excerpt, texts[:MAX_EXCERPTS])), len(texts))
        return [_note(f"Not delivered to {self.label(peer_id)} yet: {quoted}.", Colour.WARNING)]

    def _peer(self, line: HistoryLine) -> str:
        return self.label(line.peer_id)

    def _who(self, peer_id: str) -> str:
        """Return name and beginning of the id, for first encounters."""
        return self._names.full(peer_id)

    def _warn_of(self, peer_id: str) -> Entries:
        """Warn where somebody has the name of a contact but another id."""
        if self._names.is_mistaken(peer_id):
            known, name = self._names.contact_meant(peer_id), self._names.name(peer_id)
            yield _note(
                f"This is not the {name} you know: your contact has the id {known}…, this one "
                f"{self._names.short(peer_id)}….",
                Colour.BAD,
            )

    def _say_checking(self, _event: events.Checking) -> Entries:
        return iter(())  # a call that succeeds or fails is told soon enough

    # The registry.

    def _say_starting(self, event: events.Starting) -> Entries:
        if event.attached_to:
            yield _note(f"Attached to your node, process {event.attached_to}.")
            return
        other = (
            "; --server URL or an invitation names another"
            if event.server == DEFAULT_SERVER
            else ""
        )
        name, servers = visible_name(event.username), _listed([event.server, *event.further])
        yield _note(f"Registering as {name} at {servers}{other}.")
        if not event.state:
            yield _note("Your id is new and ends with this program; --state DIR keeps one.")
        elif event.remembered:
            what = ", ".join(_SAVED.get(name, name) for name in event.remembered)
            yield _note(f"Saved for the next start, in {visible(event.state)}: {what}.")

    def _say_leaving(self, event: events.Leaving) -> Entries:
        yield _note(f"Leaving; this takes at most {event.seconds:.0f} seconds.")

    def _say_registered(self, event: events.Registered) -> Entries:
        is_new, server = event.server not in self._servers, visible(event.server)
        self._servers.add(event.server)
        self._lost -= {event.server, ""}
        if self._peer_id and is_new:
            yield _note(f"Registered at {server}, too.")
        elif self._peer_id:
            yield _note(f"Registered again{f' at {server}' * (len(self._servers) > 1)}.")
        else:
            self._peer_id = event.peer_id
            yield _note(f"Registered as {visible_name(event.username)} at {server}.")
            yield _note(f"Your id is {event.peer_id}; others call you with /connect and this id.")

    def _say_registry_lost(self, event: events.RegistryLost) -> Entries:
        which = event.server if event.others else ""  # "": all are lost
        if which in self._lost:
            return  # said once; every vain try would be noise
        self._lost |= {which, event.server}
        _, cannot, why = visible(event.reason).rpartition(_UNREACHABLE)
        if event.others:
            lost = sentence(f"{visible(event.server)} is away: {why}")
            yield _note(f"{lost} You are still found at {_listed(event.others)}.")
            return
        lost = sentence(f"{'Registry unreachable' if cannot else 'Not registered'}: {why}")
        yield _note(f"{lost} Retrying.", Colour.WARNING)

    def _say_nat(self, nat: events.NatRead) -> Entries:
        was_asked_for = isinstance(nat, results.Nat)
        return _listing(table(nat_rows(nat)) if was_asked_for else [])

    # Calls.

    def _say_calling(self, event: events.Calling) -> Entries:
        if not event.attempts:  # a lost path is looked for, and PathLost has said so
            return
        again = f" again, attempt {event.attempt} of {event.attempts}" if event.attempt > 1 else ""
        yield _note(f"Calling {self._who(event.peer_id)}{again}.")
        if not again:
            yield from self._warn_of(event.peer_id)

    def _say_ringing(self, event: events.Rings) -> Entries:
        yield _note(f"Ringing {self.label(event.peer_id)}.")

    def _say_offer(self, event: events.OfferReceived) -> Entries:
        who = self._who(event.peer_id)
        if event.accepted:
            yield _note(f"Accepted the call of {who}.")
        elif not self._is_unseen(event):
            yield _note(f"{who} is calling: /accept or /reject.", Colour.GOOD)
            yield from self._warn_of(event.peer_id)

    def _is_unseen(self, event: events.OfferReceived | events.OfferEnded) -> bool:
        """A stranger who shall not disturb is no row; a contact is one, without a sound."""
        return event.quiet and not self._names.is_contact(event.peer_id)

    def _say_offer_ended(self, event: events.OfferEnded) -> Entries:
        who = self._who(event.peer_id)
        if not self._is_unseen(event):
            missed = event.reason == "no-answer"
            yield _note(f"Missed a call of {who}." if missed else f"{who} cancelled the call.")

    def _say_path(self, event: events.PathFound) -> Entries:
        relayed, before = _is_relayed(event), self._paths.get(event.peer_id)
        self._paths[event.peer_id] = event
        is_known = event.peer_id in self._open and before is not None  # else Connected says it
        if not is_known or before is None:
            return
        name, packets = self.label(event.peer_id), _PACKETS.get(event.packets, "")
        if _is_relayed(before) is not relayed:
            way = "goes through a relay" if relayed else "is direct"
            yield _note(f"The connection to {name} {way} now{packets}.")
        elif packets and before.packets != event.packets:
            yield _note(f"The connection to {name} goes on{packets}.")

    def _say_path_lost(self, event: events.PathLost) -> Entries:
        self._open.discard(event.peer_id)
        name, reason = self.label(event.peer_id), visible(event.reason).rstrip(".")
        lost = f"Connection to {name} lost: {reason}. Reconnecting"
        yield _note(f"{lost}; what you type is sent then.", Colour.WARNING)

    def _say_connected(self, event: events.Connected) -> Entries:
        self._open.add(event.peer_id)
        way = "through a relay" if _is_relayed(self._paths.get(event.peer_id)) else "directly"
        way += _PACKETS.get(event.packets, "")
        if event.resumed:
            yield _note(f"Reconnected to {self.label(event.peer_id)} {way}.", Colour.GOOD)
        else:
            yield _note(f"Connected to {self._who(event.peer_id)} {way}, encrypted.", Colour.GOOD)
            yield from self._warn_of(event.peer_id)

    def _say_renamed(self, event: events.Renamed) -> Entries:
        before, now = visible_name(event.before), visible_name(event.username)
        who = f"{before} ({event.peer_id[:SHORT_ID]})"
        yield _note(f"{who} is called {now} now.", Colour.WARNING)
        yield from self._warn_of(event.peer_id)

    def _say_contact(self, event: events.ContactChanged) -> Entries:
        changed = _CHANGES.get(event.change, "{who} has changed.")
        yield _note(changed.format(who=self._who(event.peer_id)))

    def _say_presence(self, event: events.PresenceChanged) -> Entries:
        if not event.quiet:
            yield _note(came(event, self._who(event.peer_id)), Colour.GOOD)

    def _say_disconnected(self, event: events.Disconnected) -> Entries:
        self._open.discard(event.peer_id)
        self._brought.discard(event.peer_id)
        self._paths.pop(event.peer_id, None)
        yield _note(self._ended(event), Colour.WARNING)
        if event.waits:
            yield from self._say_waiting(event)
        elif event.undelivered:
            quoted = self._quoted(event.peer_id, event.undelivered)
            yield _note(f"{_not_delivered(event.undelivered)}{quoted}.", Colour.BAD)

    def _say_waiting(self, event: events.Disconnected | events.CallFailed) -> Entries:
        """Say what becomes of lines for a contact who is away."""
        name, count = self.label(event.peer_id), event.undelivered
        if count:
            number = "1 message waits" if count == 1 else f"{count:,} messages wait"
            quoted = self._quoted(event.peer_id, count)
            yield _note(f"{number} until {name} is there again{quoted}.")
        elif event.peer_id == self._current and not event.ours:
            yield _note(f"What you type waits until {name} is there again.")

    def _quoted(self, peer_id: str, count: int) -> str:
        """Return the first of our messages that are on their way to a peer, if any is known."""
        quoted = list(self._texts.get(peer_id, {}).values())[:MAX_EXCERPTS]
        return f": {excerpts(quoted, count)}" if quoted else ""

    def _ended(self, event: events.Disconnected) -> str:
        name = self.label(event.peer_id)
        if event.ours:
            return f"You ended the conversation with {name}."
        if event.reason == "left":
            return f"{name} has left."
        reason = visible(event.reason)
        return f"The conversation with {name} ended: {reason}."

    def _say_failed(self, event: events.CallFailed) -> Entries:
        self._open.discard(event.peer_id)
        why = visible(event.summary or event.explanation or event.reason)
        failed = sentence(f"No connection to {self._who(event.peer_id)}: {why}")
        if event.summary not in {"", event.explanation}:
            failed += " /why has the details."
        yield _note(failed, Colour.FAINT if event.ours else Colour.BAD)
        if event.waits:
            yield from self._say_waiting(event)
        elif event.undelivered:
            quoted = self._quoted(event.peer_id, event.undelivered)
            later = "sent if you connect again before you quit"
            yield _note(f"{_not_delivered(event.undelivered)}, and {later}{quoted}.")

    # Invitations.

    def _say_invitation(self, made: results.InvitationMade) -> Entries:
        who = visible_name(made.petname) if made.petname else "one friend"
        until, how = _until(made.expires_at), "Say this" if made.spoken else "Give this line"
        yield _note(
            f"{how} to {who} and nobody else: whoever has it is let in, once, until {until}. "
            f"{invited(made)}/uninvite takes it back."
        )
        yield Entry((made.line,), Colour.BOLD, stamped=False)
        columns, rows = (0, 0) if self.room is None or made.spoken else self.room()
        code = qr_rows(made.line) if columns else []
        if code and len(code[0]) <= columns and len(code) < rows:
            yield from (Entry((row,), Colour.CODE, stamped=False) for row in code)

    def _say_joined(self, _result: results.Joined) -> Entries:
        return iter(())  # Paired says it

    def _say_paired(self, event: events.Paired) -> Entries:
        who = self._who(event.peer_id)
        how = (
            f"{who} joined by your invitation." if event.invited else f"You were invited by {who}."
        )
        hides = "unless /relay-only hides yours"
        addresses = f"You connect by yourselves; each learns the other's addresses, {hides}."
        yield _note(f"{how} {addresses}{shared(event)}", Colour.GOOD)

    def _say_verify(self, event: events.VerificationWords) -> Entries:
        who, words = self.label(event.peer_id), visible(" ".join(event.words))
        yield _note(f"Compare these words with {who}, by phone or face to face:")
        yield Entry((words,), Colour.BOLD, stamped=False)
        yield _note("The same there? /verify yes. If not, somebody is between you: /verify no.")

    def _say_invitation_ended(self, event: events.InvitationEnded) -> Entries:
        whose = f" for {visible_name(event.petname)}" if event.petname else ""
        is_bad = event.reason == "burnt"
        ended = sentence(f"Your invitation{whose} ended: {visible(event.explanation)}")
        yield _note(ended, Colour.BAD if is_bad else Colour.FAINT)

    def _say_invitation_waits(self, event: events.InvitationWaits) -> Entries:
        yield _note(
            "Whoever invited you isn't there at the moment; you meet as soon as both are, until "
            f"{_until(event.until)}."
        )

    # Mail.

    def _say_mailed(self, event: events.Mailed) -> Entries:
        yield _note(mailed(event, self.label(event.peer_id)))

    def _say_not_mailed(self, event: events.NotMailed) -> Entries:
        yield _note(not_mailed(event, self.label(event.peer_id)))

    # Messages.

    def _say_sent(self, event: events.MessageSent) -> Entries:
        quoted = "a deletion" if event.deletes else excerpt(event.text)
        self._texts.setdefault(event.peer_id, {})[event.id] = quoted
        if len(self._texts) > MAX_RECEIVERS:
            del self._texts[next(iter(self._texts))]
        waits = () if event.peer_id in self._open else ("(will be sent when connected)",)
        who = f"{YOU} to {self.label(event.peer_id)}"
        if event.deletes:
            yield _note(f"{who}: deleted {quote(self._known.text(event.deletes))}.")
            return
        lead = f"{who}{about(self._known, event.reply_to, event.edits)}: "
        yield Entry((event.text, *waits), lead=lead, lead_colour=Colour.FAINT)

    def _say_edited(self, event: events.MessageEdited) -> Entries:
        lead = f"{self.label(event.peer_id)}{about(self._known, '', event.id)}: "
        yield Entry((event.text,), lead=lead, lead_colour=Colour.THEIRS, written_at=event.sent_at)

    def _say_deleted(self, event: events.MessageDeleted) -> Entries:
        yield _note(f"{self.label(event.peer_id)} deleted {quote(self._known.text(event.id))}.")

    def _say_message(self, event: events.MessageReceived) -> Entries:
        lead = f"{self.label(event.peer_id)}{about(self._known, event.reply_to)}: "
        yield Entry((event.text,), lead=lead, lead_colour=Colour.THEIRS, written_at=event.sent_at)
        if event.peer_id == self._current:
            self._hinted = ""
        elif event.peer_id != self._hinted:
            self._hinted = event.peer_id
            who = self._names.address(event.peer_id)
            yield _note(f"(another conversation; /to {who} switches to it)")

    def _say_delivered(self, event: events.MessageDelivered) -> Entries:
        texts = self._texts.get(event.peer_id, {})
        text = texts.pop(event.id, "")
        if not texts:
            self._texts.pop(event.peer_id, None)
        if not text:  # an earlier run of the program said it
            if event.peer_id not in self._brought:
                self._brought.add(event.peer_id)
                yield _note(f"✓ What waited for {self.label(event.peer_id)} is delivered now.")
            return
        path = self._paths.get(event.peer_id)
        usual = 0.0 if path is None else LATE_RTTS * path.rtt_ms
        if event.milliseconds >= max(LATE_DELIVERY, usual):
            took = f"after {event.milliseconds / 1000:.0f} s"
            yield _note(f"✓ Delivered to {self.label(event.peer_id)} {took}: {text}.")

    def _say_read(self, _event: events.MessagesRead) -> Entries:
        return iter(())  # the prompt has it, and /history

    def _say_typing(self, _event: events.PeerTyping) -> Entries:
        return iter(())  # the prompt has it

    def _say_paused(self, event: events.DeliveryPaused) -> Entries:
        who, until = self.label(event.peer_id), _until(event.until)
        yield _note(
            f"{who}'s program stores nothing more of yours before {until}: you have sent too much "
            "for a day. What isn't delivered waits here, and goes then.",
            Colour.WARNING,
        )

    # Results.

    def _say_error(self, event: events.Trouble) -> Entries:
        reason = visible(event.reason)
        yield _note(sentence(reason, self._names.begins(reason)), Colour.BAD)

    def _say_help(self, result: results.CommandList) -> Entries:
        rest = "  anything else is sent to the current conversation"
        return _listing([*table(result.commands), rest])

    def _say_peers(self, result: results.PeerList) -> Entries:
        if not result.peers:
            yield _note("Nobody is registered.")
            return
        rows = (_peer_row(one, self._peer_id, one.peer_id in self._open) for one in result.peers)
        in_order = sorted(rows, key=lambda row: (row[0].casefold(), row))
        yield from _listing(table(in_order, ("name", "id", "", "NAT", "")))

    def _say_contacts(self, result: results.ContactList) -> Entries:
        if not result.contacts:
            yield _note(
                "No contacts yet: /invite makes a line for a friend, and whom you call or accept "
                "becomes one."
            )
        else:
            yield from _listing(table([_contact_row(one) for one in result.contacts]))

    def _say_privacy(self, result: results.PrivacySwitches) -> Entries:
        return _listing(switched(result))

    def _say_me(self, result: results.Me) -> Entries:
        rows = [
            ("you", visible_name(result.username)),
            ("id", result.peer_id),
            *(_registry_row(one) for one in result.registries),
            *([("kept", f"{result.stored / 1e6:,.1f} MB of what was said")] * (result.stored > 0)),
        ]
        invitations = [_invitation_row(one) for one in result.invitations]
        talks = [self._conversation(one) for one in result.conversations]
        return _listing([*table(rows), *invitations, *talks])

    def _conversation(self, info: ConversationInfo) -> str:
        self._names.learn(info)
        facts = [_STATES.get(info.state, info.state)]
        facts += [visible(info.path)] if info.path else []
        facts += [f"round trip {info.rtt_ms:.0f} ms"] if info.rtt_ms else []
        facts += [f"{info.undelivered} not delivered"] if info.undelivered else []
        return f"  {self._who(info.peer_id)}: {', '.join(facts)}"

    def _say_why(self, result: results.Explanation) -> Entries:
        return _listing([f"  {sentence(visible(one))}" for one in result.story])

    def _say_history(self, result: results.History) -> Entries:
        who = self.label(result.peer_id)
        if not result.lines:
            when = "before that " if result.before else ""
            yield _note(f"Nothing is kept of what was said {when}with {who}.")
            return
        which = "Earlier" if result.opened else "Before that" if result.before else "The last"
        yield _note(f"{which} with {who}:")
        self._known.show(result.lines, numbered=False)
        yield from list_lines(result.lines, YOU, lambda _: who, "" if result.opened else "#{}")
        waiting = sum(line.ours and not line.delivered for line in result.lines)
        if waiting:
            lines = "1 line of yours isn't" if waiting == 1 else f"{waiting} lines of yours aren't"
            yield _note(f"{lines} delivered yet; /outbox shows what waits.")
        yield from read_note(result.lines, who)
        if result.opened:
            yield Entry(("— now",), Colour.FAINT, stamped=False)

    def _say_found(self, result: results.Found) -> Entries:
        words = visible(result.words)
        if not result.lines:
            yield _note(f"No line that is kept has: {words}. {BEGINNINGS}")
            return
        for line in result.lines:
            self._names.learn(line)
        yield from list_lines(result.lines, "", self._peer, "#{}")

    def _say_outbox(self, result: results.WaitingLines) -> Entries:
        if not result.lines:
            yield _note("Nothing waits: the other sides have all that you said.")
        for line in result.lines:
            self._names.learn(line)
        yield from list_lines(result.lines, "", self._peer, "{}.")
        if result.lines:
            yield _note("/outbox N takes line N back, where it hasn't gone out.")

    def _say_withdrawn(self, result: results.Withdrawn) -> Entries:
        yield _note(f"Took back for {self.label(result.peer_id)}: {excerpt(result.text)}.")

    def _say_exported(self, result: results.Exported) -> Entries:
        lines = "1 line" if result.count == 1 else f"{result.count:,} lines"
        yield _note(f"Wrote {lines} with {self.label(result.peer_id)} to {visible(result.file)}.")

    def _say_wiped(self, result: results.Wiped) -> Entries:
        who = self.label(result.peer_id)
        yield _note(
            f"What was said with {who} is gone from this disk; theirs, and backups, aren't."
        )

    def _say_rejected(self, result: results.Rejected) -> Entries:
        yield _note(f"Declined the call of {self._who(result.peer_id)}.")

    def _say_current(self, result: results.CurrentConversation) -> Entries:
        self._current, self._hinted = result.peer_id, ""
        if not self.has_prompt:
            who = self._who(result.peer_id) if result.peer_id else "nobody"
            yield _note(f"You are talking to {who} now.")


def _listed(servers: Iterable[str]) -> str:
    """Return URLs as they stand in a sentence."""
    *first, last = map(visible, servers)
    return f"{', '.join(first)} and {last}" if first else last


def _registry_row(info: RegistryInfo) -> tuple[str, str]:
    state = _REGISTRY_STATES.get(info.state, info.state)
    trip = f", round trip {info.rtt_ms:.0f} ms" if info.rtt_ms and not info.reason else ""
    why = visible(info.reason).rpartition(_UNREACHABLE)[2]
    mail = ", keeps mail for you" if info.mail else ""
    return "registry", f"{visible(info.server)} ({state}{trip}{f': {why}' if why else ''}{mail})"


def _invitation_row(one: results.OpenInvitation) -> str:
    whom = visible_name(one.petname) if one.petname else "anybody"
    return f"  invitation for {whom} ({visible(one.nameplate)}), until {_until(one.expires_at)}"


def _until(when: float) -> str:
    """Return a time within the next day or so, as people say it."""
    return time.strftime("%H:%M on %A", time.localtime(when))


def _not_delivered(count: int) -> str:
    return f"{count:,} message{' was' if count == 1 else 's were'} not delivered"


def _peer_row(record: PeerRecord, own_id: str, is_open: bool) -> tuple[str, ...]:
    """Lay out a record, which the registry may have filled with anything."""
    return (
        visible_name(record.username),
        visible_name(record.peer_id, 36),
        _STATES["open"] if is_open else record_state(record.online),
        "" if record.nat in {"", "unknown"} else visible_name(record.nat, MAX_EXCERPT),
        "you" if own_id and record.peer_id == own_id else _acquaintance(record),
    )


def _acquaintance(record: PeerRecord) -> str:
    """Say what one who is registered is to the person."""
    if record.contact:
        return f"your contact {visible_name(record.contact)}"
    return "not your contact" if record.mistaken_for else ""


def _contact_row(info: ContactInfo) -> tuple[str, ...]:
    """Lay out a contact: what it is to the person, then what is known of its presence."""
    facts = [] if info.contact else ["no contact"]
    facts += ["verified"] if info.verified else []
    facts += [f"by {visible(info.met)}"] if info.met else []
    facts += ["relay only"] if info.relay_only else []
    facts += ["muted"] if info.muted else []
    facts += ["blocked"] if info.blocked else []
    facts += [_STATES.get(info.state, info.state)] if info.state else []
    facts += presence_facts(info) if info.contact else []
    return visible_name(info.name), visible_name(info.peer_id, 36), ", ".join(facts)


def _is_relayed(path: events.PathFound | None) -> bool:
    return path is not None and "relay" in {path.local, path.remote}
