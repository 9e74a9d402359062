"""
The service of a node that has its state directory: what ``p2ppeer`` and ``p2pnode`` make.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.logger import ILogObserver

from p2pchat import __version__
from p2pchat.events import Starting
from p2pchat.peer.profile import Profile, load_profile, remember
from p2pchat.peer.state_directory import IDENTITY_FILE, StateDirectory
from p2pchat.runtime import Runtime
from p2pchat.tap.node_options import NodeOptions, log_observer
from p2pchat.tap.process import share_interpreter, this_process

if TYPE_CHECKING:
    from p2pchat.tap.message_command import MessageCommand
    from p2pchat.tap.p2ppeer_services import PeerService
    from p2pchat.ui.stdio import FrontEnd


def opened_peer(
    runtime: Runtime,
    options: NodeOptions,
    make_front_ends: Callable[[], list[FrontEnd]],
    attach: Callable[[FrontEnd], object],
    directory: StateDirectory | None = None,
    **others: Any,
) -> PeerService:
    """
    Lock and read the state directory, and make the service of its node.

    :param make_front_ends: makes those on stdio, once all is read.
    :param attach: connects one to its descriptors.
    :param directory: the state directory, if it is locked already.
    :param others: of the service.
    :raises DirectoryInUse: another program has the directory.
    :raises ConfigurationError: a file there can't be used; the directory is free again.
    """
    from p2pchat.peer.opened_node import node_of, open_store  # noqa: PLC0415 - of a chosen reactor
    from p2pchat.tap.p2ppeer_services import PeerService  # noqa: PLC0415

    if directory is None and options["state"] is not None:
        directory = StateDirectory.open(options["state"])
    try:
        profile, starting = load(options, runtime, directory)
        store = open_store(runtime, profile)
    except BaseException:
        if directory is not None:
            directory.close()
        raise
    if store is not None:
        share_interpreter()
    further = tuple(options.further_servers)
    return PeerService(
        runtime=runtime,
        front_ends=make_front_ends(),
        process=this_process(options.program),
        make_node=partial(node_of, runtime, options.settings, profile, store, further),
        attach=attach,
        starting=starting,
        observer=observer_for(options),  # its file is in the directory, which is there now
        directory=directory,
        on_message=_message_command(runtime, options),
        **others,
    )


def observer_for(options: NodeOptions) -> ILogObserver | None:
    """Return where log lines go; ``None``: twistd was told."""
    return None if options.has_own_logging else log_observer(options, sys.stderr)


def _message_command(runtime: Runtime, options: NodeOptions) -> MessageCommand | None:
    from p2pchat.tap.child_process import ProcessStarter  # noqa: PLC0415 - of a chosen reactor
    from p2pchat.tap.message_command import MessageCommand  # noqa: PLC0415

    if options["on-message"] is None:
        return None
    return MessageCommand(options["on-message"], ProcessStarter(runtime.reactor), runtime.clock)


def load(
    options: NodeOptions, runtime: Runtime, directory: StateDirectory | None
) -> tuple[Profile, Starting]:
    """
    Read the state directory, and write what is new there.

    :raises ConfigurationError: a file there can't be used.
    """
    settings = options.settings
    new: tuple[str, ...] = ()
    if directory is not None and not (directory.path / IDENTITY_FILE).exists():
        new = ("identity",)
    passphrases, synchronous = options.passphrases.passphrases, options["synchronous"]
    profile = load_profile(directory, runtime.random_bytes, passphrases, synchronous)
    if directory is not None:
        new += remember(profile, options.to_remember())
    who = profile.identity.peer_id, settings.username, settings.server
    state = "" if directory is None else str(directory.path)
    return profile, Starting(*who, __version__, state, new, tuple(options.further_servers))
