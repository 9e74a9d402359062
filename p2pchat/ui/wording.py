"""
Events and answers as sentences for a person.

Pure.  Every text that may come from somebody else goes through :mod:`p2pchat.wire.visible` here,
but for messages, which may be long: the layout does it for as much of them as it shows.  Who is
called what is the matter of :mod:`p2pchat.ui.labels`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from p2pchat import events
from p2pchat.natcheck.words import nat_rows
from p2pchat.peer.settings import DEFAULT_SERVER, ContactInfo, ConversationInfo
from p2pchat.peer.signaling import PeerRecord
from p2pchat.ui import results
from p2pchat.ui.cells import cell_width
from p2pchat.ui.labels import SHORT_ID, YOU, Labels
from p2pchat.ui.layout import Colour, Entry
from p2pchat.ui.sentences import MAX_EXCERPT, MAX_EXCERPTS, excerpt, excerpts, sentence
from p2pchat.wire.visible import visible, visible_name

MAX_RECEIVERS = 100  # peers whose lines are remembered until they are delivered, to quote them
LATE_DELIVERY = (
    2000.0  # milliseconds; a delivery that took longer is told, others go without saying
)

_CHANGES = {
    "added": "{who} is your contact now: the name means this id here, whoever else takes it.",
    "forgotten": "{who} is no contact any more; who talks to you under this name becomes one when "
    "you call or accept them again.",
    "muted": "{who} is muted: their calls make no sound.",
    "unmuted": "{who} isn't muted any more.",
    "blocked": "{who} is blocked: nothing of theirs is taken.  /unblock takes it back.",
    "unblocked": "{who} isn't blocked any more.",
}
_REASONS = {"not-read": "more was sent than was read"}
_KEPT = {"identity": "a new identity", "username": "your name", "server": "the registry"}
_STATES = {
    "calling": "being called",
    "ringing": "being asked",
    "offered": "waits for your /accept or /reject",
    "open": "connected",
    "reconnecting": "path lost, looking for another",
}


def _note(text: str, colour: Colour = Colour.FAINT) -> list[Entry]:
    return [Entry((text,), colour)]


def _listing(rows: list[str]) -> list[Entry]:
    return [Entry((row,), stamped=False) for row in rows]


def _table(rows: Sequence[tuple[str, ...]], head: tuple[str, ...] = ()) -> list[str]:
    """Lay out rows in columns; below a head, a column without anything is left out."""
    cells = list(zip(*rows, strict=True))
    if head:
        cells = [(top, *below) for top, below in zip(head, cells, strict=True) if any(below)]
    widths = [max(map(cell_width, column)) for column in cells]
    laid = [map(_padded, row, widths) for row in zip(*cells, strict=True)]
    return ["  " + "  ".join(row).rstrip() for row in laid]


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - cell_width(cell))


@attrs.define
class Wording:
    """
    Says things; remembers what it has said where that changes what to say next.

    A change of our NAT goes without saying; ``/nat`` tells.

    :ivar username: what we call ourselves.
    :ivar has_prompt: a prompt says who is current, so that rows needn't.
    """

    username: str
    has_prompt: bool = True
    _labels: Labels = attrs.field(init=False)
    _current: str = ""
    _open: set[str] = attrs.Factory(set)
    _relayed: dict[str, bool] = attrs.Factory(dict)  # whether the path leads through a relay
    _texts: dict[str, dict[str, str]] = attrs.Factory(dict)  # ours on their way, by peer and id
    _hinted: str = ""  # from whom a message came last that wasn't the current one
    _registry_lost: bool = False
    _registered: bool = False
    _peer_id: str = ""  # ours, as far as anything has said

    def __attrs_post_init__(self) -> None:
        self._labels = Labels(visible_name(self.username))

    def say(self, value: Any) -> list[Entry]:
        """Return what a person is told of an event or answer; of some, nothing."""
        if hasattr(value, "name") and value.peer_id:
            self._labels.learn(value)
        wording = _WORDINGS.get(type(value))
        return wording(self, value) if wording else []

    def label(self, peer_id: str) -> str:
        """Return a name that means one peer only."""
        return self._labels.label(peer_id)

    def prompt(self) -> str:
        """Return what stands before the line that is being typed."""
        return f"{self.label(self._current)}> " if self._current else "> "

    def undelivered(self, peer_id: str, texts: Sequence[str]) -> list[Entry]:
        """Return the warning that lines aren't confirmed although there is a conversation."""
        quoted = excerpts(list(map(excerpt, texts[:MAX_EXCERPTS])), len(texts))
        return _note(f"{self.label(peer_id)} doesn't have {quoted} yet.", Colour.WARNING)

    def _who(self, peer_id: str) -> str:
        """Return name and beginning of the id, for first encounters."""
        return self._labels.full(peer_id)

    def _warn_of(self, peer_id: str) -> list[Entry]:
        """Say so where somebody has the name of a contact that he isn't."""
        if not self._labels.is_mistaken(peer_id):
            return []
        known, name = self._labels.contact_meant(peer_id), self._labels.name(peer_id)
        return _note(
            f"This is not the {name} you know: your contact has the id {known}…, this one "
            f"{self._labels.short(peer_id)}….",
            Colour.BAD,
        )

    # The registry.

    def _say_starting(self, event: events.Starting) -> list[Entry]:
        other = "; --server URL names another registry" if event.server == DEFAULT_SERVER else ""
        name, server = visible_name(event.username), visible(event.server)
        told = _note(f"Registering as {name} at {server}{other}.")
        if not event.state:
            told += _note("Your id is new and ends with this program; --state DIR keeps one.")
        elif event.remembered:
            what = ", ".join(_KEPT.get(name, name) for name in event.remembered)
            told += _note(f"Kept for the next start, in {visible(event.state)}: {what}.")
        return told

    def _say_leaving(self, event: events.Leaving) -> list[Entry]:
        return _note(f"Leaving: saying goodbye, for at most {event.seconds:.0f} seconds.")

    def _say_registered(self, event: events.Registered) -> list[Entry]:
        again, self._registered, self._registry_lost = self._registered, True, False
        self._peer_id = event.peer_id
        if again:
            return _note("The registry is back.")
        return [
            *_note(f"You are {visible_name(event.username)}, known at {visible(event.server)}."),
            *_note(f"Your id is {event.peer_id}; friends call you with /connect and that id."),
        ]

    def _say_registry_lost(self, event: events.RegistryLost) -> list[Entry]:
        if self._registry_lost:  # said once; every vain try would be noise
            return []
        self._registry_lost = True
        lost = sentence(f"No registry: {visible(event.reason)}")
        return _note(f"{lost} Trying again by myself.", Colour.WARNING)

    def _say_nat(self, event: results.Nat) -> list[Entry]:
        return _listing(_table(nat_rows(event)))

    # Calls.

    def _say_calling(self, event: events.Calling) -> list[Entry]:
        if not event.attempts:  # a lost path is looked for, and PathLost has said so
            return []
        again = f" again, attempt {event.attempt} of {event.attempts}" if event.attempt > 1 else ""
        warning = self._warn_of(event.peer_id) if event.attempt == 1 else []
        return [*_note(f"Calling {self._who(event.peer_id)}{again}."), *warning]

    def _say_rings(self, event: events.Rings) -> list[Entry]:
        return _note(f"{self.label(event.peer_id)} is being asked to accept.")

    def _say_offer(self, event: events.OfferReceived) -> list[Entry]:
        who = self._who(event.peer_id)
        if event.accepted:
            return _note(f"{who} calls you; accepted.")
        if self._is_beneath_notice(event):
            return []
        asked = _note(f"{who} wants to talk: /accept or /reject.", Colour.GOOD)
        return [*asked, *self._warn_of(event.peer_id)]

    def _is_beneath_notice(self, event: events.OfferReceived | events.OfferEnded) -> bool:
        """A stranger who shall not disturb is no row; a contact is one, without a sound."""
        return event.quiet and not self._labels.is_contact(event.peer_id)

    def _say_offer_ended(self, event: events.OfferEnded) -> list[Entry]:
        if self._is_beneath_notice(event):
            return []
        if event.reason == "no-answer":
            return _note(f"{self._who(event.peer_id)} called, and nobody answered.")
        return _note(f"{self._who(event.peer_id)} cancelled the call.")

    def _say_path(self, event: events.PathFound) -> list[Entry]:
        relayed = "relay" in {event.local, event.remote}
        before = self._relayed.get(event.peer_id)
        self._relayed[event.peer_id] = relayed
        if event.peer_id not in self._open or before in {None, relayed}:  # Connected says it
            return []
        name = self.label(event.peer_id)
        return _note(
            f"The path to {name} leads through a relay now."
            if relayed
            else f"The path to {name} is direct now."
        )

    def _say_path_lost(self, event: events.PathLost) -> list[Entry]:
        self._open.discard(event.peer_id)
        name, reason = self.label(event.peer_id), visible(event.reason).rstrip(".")
        lost = f"Lost the path to {name}: {reason}. Looking for another"
        return _note(f"{lost}; what you type is kept.", Colour.WARNING)

    def _say_connected(self, event: events.Connected) -> list[Entry]:
        self._open.add(event.peer_id)
        if event.resumed:
            way = ", through a relay" if self._relayed.get(event.peer_id) else ""
            return _note(f"Back in touch with {self.label(event.peer_id)}{way}.", Colour.GOOD)
        way = "through a relay" if self._relayed.get(event.peer_id) else "directly"
        told = _note(f"Connected to {self._who(event.peer_id)} {way}, encrypted.", Colour.GOOD)
        return [*told, *self._warn_of(event.peer_id)]

    def _say_renamed(self, event: events.Renamed) -> list[Entry]:
        before, now = visible_name(event.before), visible_name(event.username)
        who = f"{before} ({event.peer_id[:SHORT_ID]})"
        return [
            *_note(f"{who} calls itself {now} now.", Colour.WARNING),
            *self._warn_of(event.peer_id),
        ]

    def _say_contact(self, event: events.ContactChanged) -> list[Entry]:
        changed = _CHANGES.get(event.change, "{who} has changed.")
        return _note(changed.format(who=self._who(event.peer_id)))

    def _say_disconnected(self, event: events.Disconnected) -> list[Entry]:
        self._open.discard(event.peer_id)
        self._relayed.pop(event.peer_id, None)
        told = _note(self._ended(event), Colour.WARNING)
        quoted = self._quoted(event.peer_id, event.undelivered)
        if event.undelivered:
            lines = "1 line" if event.undelivered == 1 else f"{event.undelivered:,} lines"
            told += _note(f"{lines} of yours never got a confirmation{quoted}.", Colour.BAD)
        return told

    def _quoted(self, peer_id: str, count: int) -> str:
        """Return the first of our lines that are on their way to a peer, if any is known."""
        quoted = list(self._texts.get(peer_id, {}).values())[:MAX_EXCERPTS]
        return f": {excerpts(quoted, count)}" if quoted else ""

    def _ended(self, event: events.Disconnected) -> str:
        name = self.label(event.peer_id)
        if event.ours:
            return f"You ended the conversation with {name}."
        if event.reason == "left":
            return f"{name} has left."
        reason = _REASONS.get(event.reason, visible(event.reason))
        return f"The conversation with {name} ended: {reason}."

    def _say_failed(self, event: events.CallFailed) -> list[Entry]:
        self._open.discard(event.peer_id)
        why = visible(event.summary or event.explanation or event.reason)
        failed = sentence(f"No conversation with {self._who(event.peer_id)}: {why}")
        if event.summary not in {"", event.explanation}:
            failed += " /why has the details."
        told = _note(failed, Colour.FAINT if event.ours else Colour.BAD)
        if event.undelivered:
            quoted = self._quoted(event.peer_id, event.undelivered)
            kept = f"{_waiting(event.undelivered)} if you talk again before you quit{quoted}."
            told += _note(kept)
        return told

    # Messages.

    def _say_sent(self, event: events.MessageSent) -> list[Entry]:
        self._texts.setdefault(event.peer_id, {})[event.id] = excerpt(event.text)
        if len(self._texts) > MAX_RECEIVERS:
            del self._texts[next(iter(self._texts))]
        lead = f"{YOU} to {self.label(event.peer_id)}: "
        rows = [event.text]
        if event.peer_id not in self._open:
            rows.append("(waits for the connection)")
        return [Entry(tuple(rows), lead=lead, lead_colour=Colour.FAINT)]

    def _say_message(self, event: events.MessageReceived) -> list[Entry]:
        lead = f"{self.label(event.peer_id)}: "
        told = [
            Entry((event.text,), lead=lead, lead_colour=Colour.THEIRS, written_at=event.sent_at)
        ]
        if event.peer_id == self._current:
            self._hinted = ""
        elif event.peer_id != self._hinted:
            self._hinted = event.peer_id
            told += _note(f"(not whom you are talking to; /to {event.peer_id[:SHORT_ID]} answers)")
        return told

    def _say_delivered(self, event: events.MessageDelivered) -> list[Entry]:
        texts = self._texts.get(event.peer_id, {})
        text = texts.pop(event.id, "your line")
        if not texts:
            self._texts.pop(event.peer_id, None)
        if event.milliseconds < LATE_DELIVERY:
            return []
        took = f"after {event.milliseconds / 1000:.0f} s"
        return _note(f"✓ {self.label(event.peer_id)} has {text}, {took}.")

    # Answers.

    def _say_trouble(self, event: events.Trouble) -> list[Entry]:
        reason = visible(event.reason)
        return _note(sentence(reason, self._labels.begins(reason)), Colour.BAD)

    def _say_commands(self, answer: results.CommandList) -> list[Entry]:
        return _listing([*_table(list(answer.commands)), "  anything else is said"])

    def _say_peers(self, answer: results.PeerList) -> list[Entry]:
        if not answer.peers:
            return _note("Nobody is registered.")
        rows = sorted(
            (_peer_row(record, self._peer_id) for record in answer.peers),
            key=lambda row: (row[0].casefold(), row),
        )
        return _listing(_table(rows, ("name", "id", "", "NAT", "")))

    def _say_contacts(self, answer: results.ContactList) -> list[Entry]:
        if not answer.contacts:
            return _note("You have no contacts: whom you talk to on purpose becomes one.")
        return _listing(_table([_contact_row(one) for one in answer.contacts]))

    def _say_me(self, answer: results.Me) -> list[Entry]:
        rows = [
            ("you", visible_name(answer.username)),
            ("id", answer.peer_id),
            ("registry", f"{visible(answer.server)} ({self._reach()})"),
        ]
        return _listing(_table(rows) + [self._conversation(one) for one in answer.conversations])

    def _reach(self) -> str:
        """Say whether the registry can be reached."""
        if self._registry_lost:
            return "not reachable now, tried again and again"
        return "reachable" if self._registered else "not reached yet"

    def _conversation(self, info: ConversationInfo) -> str:
        self._labels.learn(info)
        facts = [_STATES.get(info.state, info.state)]
        facts += [visible(info.path)] if info.path else []
        facts += [f"round trip {info.rtt_ms:.0f} ms"] if info.rtt_ms else []
        facts += [f"{info.undelivered} not delivered"] if info.undelivered else []
        return f"  {self._who(info.peer_id)}: {', '.join(facts)}"

    def _say_story(self, answer: results.Story) -> list[Entry]:
        return _listing([f"  {sentence(visible(one))}" for one in answer.story])

    def _say_rejected(self, answer: results.Rejected) -> list[Entry]:
        return _note(f"You declined the call of {self._who(answer.peer_id)}.")

    def _say_current(self, answer: results.CurrentConversation) -> list[Entry]:
        self._current, self._hinted = answer.peer_id, ""
        if self.has_prompt:
            return []
        who = self._who(answer.peer_id) if answer.peer_id else "nobody"
        return _note(f"You are talking to {who} now.")


def _peer_row(record: PeerRecord, own_id: str) -> tuple[str, ...]:
    """Lay out a record, which the registry may have filled with anything."""
    return (
        visible_name(record.username),
        visible_name(record.peer_id, 36),
        "online" if record.online else "offline",
        "" if record.nat in {"", "unknown"} else visible_name(record.nat, MAX_EXCERPT),
        "you" if own_id and record.peer_id == own_id else _acquaintance(record),
    )


def _acquaintance(record: PeerRecord) -> str:
    """Say what one who is registered is to the person."""
    if record.contact:
        return f"your contact {visible_name(record.contact)}"
    return "not your contact" if record.mistaken_for else ""


def _contact_row(info: ContactInfo) -> tuple[str, ...]:
    facts = [] if info.contact else ["no contact"]
    facts += ["muted"] if info.muted else []
    facts += ["blocked"] if info.blocked else []
    facts += [_STATES.get(info.state, info.state)] if info.state else []
    return visible_name(info.name), visible_name(info.peer_id, 36), ", ".join(facts)


_WORDINGS: dict[type, Callable[[Wording, Any], list[Entry]]] = {
    events.Starting: Wording._say_starting,
    events.Leaving: Wording._say_leaving,
    events.Registered: Wording._say_registered,
    events.RegistryLost: Wording._say_registry_lost,
    events.Calling: Wording._say_calling,
    events.Rings: Wording._say_rings,
    events.OfferReceived: Wording._say_offer,
    events.OfferEnded: Wording._say_offer_ended,
    events.PathFound: Wording._say_path,
    events.PathLost: Wording._say_path_lost,
    events.Connected: Wording._say_connected,
    events.Renamed: Wording._say_renamed,
    events.ContactChanged: Wording._say_contact,
    events.Disconnected: Wording._say_disconnected,
    events.CallFailed: Wording._say_failed,
    events.MessageSent: Wording._say_sent,
    events.MessageReceived: Wording._say_message,
    events.MessageDelivered: Wording._say_delivered,
    events.Trouble: Wording._say_trouble,
    results.CommandList: Wording._say_commands,
    results.PeerList: Wording._say_peers,
    results.ContactList: Wording._say_contacts,
    results.Me: Wording._say_me,
    results.Nat: Wording._say_nat,
    results.Story: Wording._say_story,
    results.Rejected: Wording._say_rejected,
    results.CurrentConversation: Wording._say_current,
}


def _waiting(lines: int) -> str:
    if lines == 1:
        return "1 line of yours wasn't delivered; it goes out"
    return f"{lines} lines of yours weren't delivered; they go out"
