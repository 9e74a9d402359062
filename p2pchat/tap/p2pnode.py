"""
``twistd -n p2pnode``: a node without a console, which other programs of the same person attach to.

Nobody is there to be asked: strangers' calls are refused, unless a console or a program with the
JSON interface is attached just then.  Contacts' lines are stored, as always.
"""

from __future__ import annotations

import attrs
from twisted.application.service import Service

from p2pchat.errors import ConfigurationError
from p2pchat.runtime import real_runtime
from p2pchat.tap.node_options import NodeOptions
from p2pchat.tap.opened_peer import opened_peer
from p2pchat.tap.places import DEFAULT_PROFILE
from p2pchat.tap.process import leave_once, leave_threads_behind


class Options(NodeOptions):
    """The command line of ``p2pnode``."""

    program = "p2pnode"
    invocation = "twistd p2pnode"
    longdesc = "Is your node without a console; p2pchat and other programs attach to it."
    default_profile = DEFAULT_PROFILE


def makeService(options: Options) -> Service:
    """Make the service of a node, or end the program with a sentence."""
    from twisted.internet import reactor  # noqa: PLC0415 - twistd has chosen one by now

    leave_threads_behind(reactor)
    leave_once(reactor)
    runtime = attrs.evolve(real_runtime(reactor), proxy_for=options.proxies)
    try:
        return opened_peer(runtime, options, list, lambda _one: None)
    except ConfigurationError as error:
        raise SystemExit(f"{options.program}: {error}") from None
