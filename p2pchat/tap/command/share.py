"""
``p2pchat share``: a port of this machine, for somebody.

::

    share 3000 --as web --with bob            for bob, as long as this runs
    share 3000 --as web --with bob --for 8h   by a grant of eight hours
    share 3000 --as web                       by an invitation, which makes a contact, too
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from p2pchat.tap.command.grammar import Grammar, duration, port, service

_EPILOG = """\
Whoever may open it says: p2pchat open YOU:web, where YOU is the name that they have for you.
Nothing else of this machine is reached by it, and nobody else is let in; Ctrl-C ends it.

  p2pchat share 3000 --as web --with bob      a page, for your contact bob
  p2pchat share 22 --as ssh --with bob        a machine; docs/command.rst has his ssh
  p2pchat share 3000 --as web                 prints an invitation for somebody new"""


def _place(text: str) -> str:
    """Read a port of loopback, or the path of a socket; returns an endpoint string."""
    if text.startswith("unix:"):
        path = os.path.abspath(text.removeprefix("unix:"))
        return "unix:" + path.replace("\\", "\\\\").replace(":", "\\:")
    number = port(text)
    if number == 0:
        raise argparse.ArgumentTypeError("0 is no port that something listens at")
    return f"tcp:127.0.0.1:{number}"


def grammar(command: str) -> Grammar:
    """Return the command line."""
    made = Grammar(command, "Let somebody open a port of this machine.", _EPILOG)
    made.add_argument("place", type=_place, metavar="PORT", help="a port, or unix:PATH")
    made.add_argument("--as", dest="service", type=service, default="web", metavar="NAME")
    made.add_argument("--with", dest="who", action="append", metavar="WHO", help="may be repeated")
    made.add_argument("--for", dest="lifetime", type=duration, metavar="TIME", help="30m, 8h, 2d")
    made.take_directory()
    return made


def run(command: str, arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    options = grammar(command).parse(arguments)
    from p2pchat.tap.command.reactor_run import run_reactor  # noqa: PLC0415 - it takes a while

    return run_reactor(command, options, _begin)


def _begin(made: Any) -> Any:
    """Share, and say what the other side does."""
    from twisted.internet.defer import inlineCallbacks  # noqa: PLC0415
    from twisted.internet.endpoints import clientFromString  # noqa: PLC0415

    from p2pchat.forwarding.forward import Forward  # noqa: PLC0415
    from p2pchat.tap.command.forward_report import ForwardReport  # noqa: PLC0415

    options = made.options

    @inlineCallbacks
    def share() -> Any:
        services = yield made.services()
        allow = () if options.lifetime is not None else tuple(options.who or ())
        listener = services.listener_for(options.service, allow)
        connector = clientFromString(made.reactor, options.place)
        names: dict[str, str] = {}
        report = ForwardReport(made, options.service, options.place, names)
        yield Forward(listener, connector, report).start()
        known = yield made.ask("/contacts")
        names.update((one["peer_id"], one["name"]) for one in known["contacts"])
        until = "until you press Ctrl-C"
        if options.who is None:
            yield _invite(made)
        elif options.lifetime is not None:
            for who in options.who:
                yield made.ask(f"/grant {options.service} {who} {options.lifetime}s")
            until = f"for {options.lifetime} seconds, while this runs"
        if options.who is not None:
            who = " and ".join(options.who)
            made.say(f"{options.service} is {options.place} of this machine for {who}, {until}.")
            name = "YOU" if sys.stdout.isatty() else "you"
            made.say(f"There: p2pchat open {name}:{options.service} ({name}: their name for you).")

    return share()


def _invite(made: Any) -> Any:
    options = made.options
    time = "" if options.lifetime is None else f"={options.lifetime}s"

    def invited(answer: dict[str, Any]) -> None:
        made.say(f"{options.service} is {options.place} of this machine, until you press Ctrl-C.")
        made.say("Send this line to whoever is to open it; it is good once, for 24 hours:")
        made.say(f"\n  {answer['line']}\n")
        made.say(f"There: p2pchat --join (paste it), then p2pchat open YOU:{options.service}.")

    return made.ask(f"/invite --grant {options.service}{time}").addCallback(invited)
