"""
The node of a state directory, for endpoint strings: attached to, or this program itself.

One program has one way to each directory, however many endpoints it has there.  Where nobody is
the node, this program becomes it as ``p2pnode`` does, until it ends or has failed.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.logger import Logger

from p2pchat.errors import ConfigurationError
from p2pchat.interfaces import IServices
from p2pchat.peer.opened_node import node_of, open_store
from p2pchat.peer.state_directory import StateDirectory
from p2pchat.resident.serving import server_of
from p2pchat.resident.shared_services import SharedServices
from p2pchat.resident.unattended import Unattended
from p2pchat.runtime import real_runtime
from p2pchat.tap.opened_peer import load
from p2pchat.tap.p2pnode import Options

_log = Logger()
_shared: dict[tuple[int, str], SharedServices] = {}  # by reactor and directory


def node_for(reactor: Any, directory: Path) -> Deferred[IServices]:
    """Return a Deferred of the services of a directory's node; this program may become that."""
    path = os.path.realpath(directory)
    key = (id(reactor), path)
    if key not in _shared:
        become = partial(become_node, reactor)
        runtime = real_runtime(reactor)
        _shared[key] = SharedServices(runtime, path, os.environ, become)
    shared = _shared[key]
    return shared.there().addCallback(lambda _: shared)


@inlineCallbacks
def become_node(reactor: Any, directory: StateDirectory) -> Any:
    """Be the node of a directory until the reactor stops."""
    options = Options()
    options.parseOptions(["--state", str(directory.path)])
    runtime = attrs.evolve(real_runtime(reactor), proxy_for=options.proxies)
    try:
        profile, starting = load(options, runtime, directory)
        store = open_store(runtime, profile)
        node = node_of(runtime, options.settings, profile, store, tuple(options.further_servers))
        server = server_of(runtime, node, starting, node.services)
        node.listen(Unattended(node, lambda: server.is_attended))
        yield maybeDeferred(node.start)
    except BaseException:
        directory.close()
        raise
    try:
        server.start(str(directory.path), os.environ)
    except ConfigurationError as error:
        _log.warn("{error}", error=error)

    @inlineCallbacks
    def stop() -> Any:
        yield node.stop()
        directory.close()
        yield server.stop()

    reactor.addSystemEventTrigger("before", "shutdown", stop)
    return node.services
