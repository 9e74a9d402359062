"""
Services in words: grants, what is offered, and what is open; pure.

A stream that is one of many is no row: a page with a hundred pictures is one visit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from p2pchat import events
from p2pchat.peer.service_infos import GrantInfo, OfferedInfo, OpenStreamInfo
from p2pchat.ui import results
from p2pchat.ui.display_names import DisplayNames
from p2pchat.ui.layout import Colour, Entry
from p2pchat.ui.sentences import table
from p2pchat.wire.visible import visible, visible_name

_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_PATHS = {"direct": "direct", "relay": "through a relay", "": "no path"}
_UNGRANTED = "You offer {} to nobody but those with a grant: /grant {} and a name lets somebody in."

Entries = Iterator[Entry]


def _note(text: str, colour: Colour = Colour.FAINT) -> Entry:
    return Entry((text,), colour)


def duration(seconds: float) -> str:
    """Return some time, as people say it."""
    size, unit = next((one for one in _UNITS if seconds >= 2 * one[0]), (1, "second"))
    count = round(seconds / size)
    return f"{count} {unit}{'' if count == 1 else 's'}"


def amount(count: int) -> str:
    """Return a number of bytes, as people say it."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count} byte{'' if count == 1 else 's'}"


def invited(made: results.InvitationMade) -> str:
    """Return what an invitation lets open, as a sentence; "": nothing."""
    if not made.service:
        return ""
    how_long = "until you /revoke it" if made.seconds is None else f"for {duration(made.seconds)}"
    return f"They may open your {visible(made.service)} then, {how_long}. "


def shared(event: events.Paired) -> str:
    """Return what whoever was invited may open, as a sentence; "": nothing."""
    if not event.service:
        return ""
    service = visible(event.service)
    who = "They may open your" if event.invited else "You may open their"
    return f" {who} {service}."


def _who(event: Any, names: DisplayNames) -> str:
    """Return whom an event is about; a name alone means a contact."""
    if event.name:
        names.learn(event)
    return names.label(event.peer_id) if event.name else visible(event.peer_id)


def _granted(event: events.GrantChanged, names: DisplayNames) -> Entries:
    who, service = _who(event, names), visible(event.service)
    if event.change == "granted":
        until = (
            "until you /revoke it" if event.seconds is None else f"for {duration(event.seconds)}"
        )
        yield _note(f"{who} may open your {service} from now on, {until}.", Colour.GOOD)
    elif event.change == "expired":
        yield _note(f"{who} may open your {service} no more: the time is up.")
    else:
        yield _note(f"{who} may open your {service} no more.")


def _offered(event: events.ServiceOffered, _names: DisplayNames) -> Entries:
    service = visible(event.service)
    if "anyone" in event.allow:
        text = f"You offer {service} to anyone who has your id, strangers too."
        yield _note(text, Colour.WARNING)
    elif event.allow:
        yield _note(f"You offer {service} to {_listed(event.allow)}, and to those with a grant.")
    else:
        yield _note(_UNGRANTED.format(service, service))


def _opened(event: events.ServiceOpened, names: DisplayNames) -> Entries:
    if not event.quiet:
        who, service, way = _who(event, names), visible(event.service), _PATHS.get(event.path, "")
        what = f"You opened {service} at {who}" if event.ours else f"{who} opened your {service}"
        yield _note(f"{what}, {way}.")


def _closed(event: events.ServiceClosed, names: DisplayNames) -> Entries:
    if not event.quiet:
        who, service = _who(event, names), visible(event.service)
        what = f"{service} at {who}" if event.ours else f"Your {service}, open to {who},"
        sent, received = amount(event.sent), amount(event.received)
        took = duration(event.seconds)
        yield _note(f"{what} ended after {took}: {sent} sent, {received} received.")


def _grants(result: results.GrantList, names: DisplayNames) -> Entries:
    if not result.grants:
        yield _note("Nobody may open a service of yours: /grant SERVICE WHO lets somebody.")
        return
    yield from _listing(table([_grant_row(one) for one in result.grants]))


def _grant_row(one: GrantInfo) -> tuple[str, ...]:
    left = "until revoked" if one.seconds is None else f"{duration(one.seconds)} left"
    return visible(one.service), visible_name(one.name or "no contact"), visible(one.peer_id), left


def _services(result: results.ServiceList, names: DisplayNames) -> Entries:
    if result.peer_id:
        who = _who(result, names)
        what = _listed([one.service for one in result.services])
        yield _note(f"{who} lets you open {what}." if what else f"{who} lets you open nothing.")
    elif not result.services:
        yield _note("You offer no services: p2pchat share, or twistd web --listen p2p:web, do.")
    else:
        yield from _listing(table([_offered_row(one) for one in result.services]))


def _offered_row(one: OfferedInfo) -> tuple[str, ...]:
    allowed = f"{_listed(one.allow)}, and those with a grant" if one.allow else "those with a grant"
    return visible(one.service), f"for {allowed}"


def _streams(result: results.StreamList, names: DisplayNames) -> Entries:
    if not result.streams:
        yield _note("Nothing is open.")
        return
    rows = [_stream_row(one, names) for one in result.streams]
    yield from _listing(table(rows, ("service", "with", "path", "open", "sent", "received")))


def _stream_row(one: OpenStreamInfo, names: DisplayNames) -> tuple[str, ...]:
    service = f"{visible(one.service)}{' (theirs)' if one.ours else ''}"
    way, took = _PATHS.get(one.path, ""), duration(one.seconds)
    return service, _who(one, names), way, took, amount(one.sent), amount(one.received)


def _listed(words: Sequence[str]) -> str:
    return ", ".join(map(visible, words))


def _listing(rows: list[str]) -> Entries:
    return (Entry((row,), stamped=False) for row in rows)


SAYINGS: dict[str, Callable[[Any, DisplayNames], Entries]] = {
    events.GrantChanged.NAME: _granted,
    events.ServiceOffered.NAME: _offered,
    events.ServiceOpened.NAME: _opened,
    events.ServiceClosed.NAME: _closed,
    results.GrantList.NAME: _grants,
    results.ServiceList.NAME: _services,
    results.StreamList.NAME: _streams,
}
"""What a person is told of each, by its NAME."""
