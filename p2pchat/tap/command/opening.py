"""
``p2pchat open``: a service of somebody, on this machine: a page in the browser, or a port.

A page goes through :mod:`p2pchat.forwarding.web_proxy`, which keeps other users of the machine and
pages from elsewhere out; a plain port (``--tcp``) can't, and ``--unix`` is the person's alone.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from typing import Any

from p2pchat.tap.command.grammar import Grammar, port, target
from p2pchat.tap.command.statuses import NOT_GRANTED

_EPILOG = """\
  p2pchat open bob:web                 prints an address for your browser
  p2pchat open bob:db --tcp 5432       a port of loopback, which other users reach, too
  p2pchat open bob:docker --unix PATH  a socket that is yours alone"""

_NO_IPV6 = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, None})
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def grammar(command: str) -> Grammar:
    """Return the command line."""
    made = Grammar(command, "Open a service of somebody on this machine.", _EPILOG)
    made.add_argument("target", type=target, metavar="WHO:SERVICE", help="such as bob:web")
    made.add_argument("--port", type=port, default=0, metavar="PORT", help="of the page; 0: any")
    made.add_argument(
        "--host-header", default="", metavar="NAME", help="what the service wants to be called"
    )
    kinds = made.add_mutually_exclusive_group()
    kinds.add_argument("--tcp", type=port, metavar="PORT", help="a port instead; 0: any")
    kinds.add_argument("--unix", metavar="PATH", help="a socket instead, for you alone")
    made.take_path()
    made.take_directory()
    return made


def run(command: str, arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    options = grammar(command).parse(arguments)
    from p2pchat.tap.command.reactor_run import run_reactor  # noqa: PLC0415 - it takes a while

    return run_reactor(command, options, _begin)


def host_label(who: str, service: str) -> str:
    """Return the first label of the page's host name: of a name that can't be one, less of it."""
    name = re.sub(r"[^a-z0-9]+", "-", who.lower()).strip("-")[:40].strip("-") or "peer"
    kind = re.sub(r"[^a-z0-9]+", "-", service)[:20].strip("-")
    label = f"{name}-{kind}"
    return label if _LABEL.fullmatch(label) else "peer"


def _begin(made: Any) -> Any:
    """Open it, once it is known to be there."""
    from twisted.internet.defer import inlineCallbacks  # noqa: PLC0415

    options = made.options

    @inlineCallbacks
    def open_service() -> Any:
        services = yield made.services()
        who, service = options.target
        offered = yield made.ask(f"/services {who}")
        if service not in {one["service"] for one in offered["services"]}:
            sentence = f"{who} offers no {service} to you: it isn't there, or isn't granted to you"
            made.end(sentence, NOT_GRANTED)
            return
        connector = services.connector_for(who, service, options.path, options.timeout)
        if options.tcp is None and options.unix is None:
            yield _open_page(made, connector)
        else:
            yield _open_port(made, connector)

    return open_service()


def _open_page(made: Any, connector: Any) -> Any:
    from twisted.internet.endpoints import TCP4ServerEndpoint  # noqa: PLC0415

    from p2pchat.forwarding.web_lock import WebLock  # noqa: PLC0415
    from p2pchat.forwarding.web_proxy import HostNames, WebProxy  # noqa: PLC0415
    from p2pchat.peer.failures import in_words  # noqa: PLC0415

    options = made.options
    lock = WebLock("", os.urandom)
    label = host_label(*options.target)

    def failed(error: BaseException) -> str:
        text = in_words(error, str(error))
        made.note(f"{options.target}: {text}")
        return text

    def listening(bound: Any) -> None:
        lock.host = f"{label}.localhost:{bound.getHost().port}"
        proxy.names = HostNames(lock.host, options.host_header)
        made.say(f"{options.target} is open for your browser at\n\n  {lock.address}\n")
        made.say("The address lets one browser in, once. Ctrl-C ends it.")
        lock.opened = lambda: made.note(f"a browser was let in; another one: {lock.address}")

    proxy = WebProxy(lock, HostNames("", ""), connector, failed, made.reactor)
    endpoint = TCP4ServerEndpoint(made.reactor, options.port, interface="127.0.0.1")
    bound = endpoint.listen(proxy).addCallback(_also_ipv6, made.reactor, proxy)
    return bound.addCallback(listening)


def _also_ipv6(bound: Any, reactor: Any, proxy: Any) -> Any:
    """
    Listen at ::1 too, where there is one: browsers may go there first, and so to somebody else.

    Fails where another program has that port.
    """
    from twisted.internet.endpoints import TCP6ServerEndpoint  # noqa: PLC0415

    endpoint = TCP6ServerEndpoint(reactor, bound.getHost().port, interface="::1")

    def refused(failure: Any) -> Any:
        number = getattr(failure.value.socketError, "errno", None)
        return bound if number in _NO_IPV6 else failure

    return endpoint.listen(proxy).addCallbacks(lambda _: bound, refused)


def _open_port(made: Any, connector: Any) -> Any:
    from twisted.internet.endpoints import (  # noqa: PLC0415
        TCP4ServerEndpoint,
        UNIXServerEndpoint,
    )

    from p2pchat.forwarding.endpoint_strings import shown_address  # noqa: PLC0415
    from p2pchat.forwarding.forward import Forward  # noqa: PLC0415
    from p2pchat.tap.command.forward_report import ForwardReport  # noqa: PLC0415

    options = made.options
    if options.unix is not None:
        endpoint: Any = UNIXServerEndpoint(made.reactor, os.path.abspath(options.unix), mode=0o600)
    else:
        endpoint = TCP4ServerEndpoint(made.reactor, options.tcp, interface="127.0.0.1")

    def listening(bound: Any) -> None:
        made.say(f"{options.target} is open at {shown_address(bound.getHost())}. Ctrl-C ends it.")
        if options.tcp is not None:
            made.say("Other users of this machine reach it, too: --unix PATH is yours alone.")

    report = ForwardReport(made, shown_target := str(options.target), shown_target)
    return Forward(endpoint, connector, report).start().addCallback(listening)
