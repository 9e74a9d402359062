"""
Every seam of p2pchat: zope interfaces, and a protocol for the machines.

::

    machine    the pure protocol machines
    node       a node, for its front ends
    signaling  finding others, and sending them documents; mailboxes
    storage    what a node keeps
    registry   what a registry keeps
    streams    what they ride on
    transfers  files on their way
    services   what programs open to peers, and reach at peers
    resident   what attached programs want of a node
    processes  other programs that run for us
"""

from p2pchat.interfaces.machine import IMachine
from p2pchat.interfaces.node import IIndications, IInvitations, INode
from p2pchat.interfaces.processes import IChildProcess, IProcessStarter
from p2pchat.interfaces.registry import IMailboxStore, IRegistryStore
from p2pchat.interfaces.resident import IAttachedPart
from p2pchat.interfaces.services import INodeServices, IServices
from p2pchat.interfaces.signaling import IMailbox, INameplates, ISignaling
from p2pchat.interfaces.storage import IHistory, IMessageStore, ISecretStore
from p2pchat.interfaces.streams import IPeerStreams
from p2pchat.interfaces.transfers import ITransfers, ITransferStore

__all__ = [
    "IAttachedPart",
    "IChildProcess",
    "IHistory",
    "IIndications",
    "IInvitations",
    "IMachine",
    "IMailbox",
    "IMailboxStore",
    "IMessageStore",
    "INameplates",
    "INode",
    "INodeServices",
    "IPeerStreams",
    "IProcessStarter",
    "IRegistryStore",
    "ISecretStore",
    "IServices",
    "ISignaling",
    "ITransferStore",
    "ITransfers",
]
