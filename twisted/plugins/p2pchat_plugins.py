"""Commands of ``twistd``; imported at each of its starts, so there is nothing else here."""

from twisted.application.service import ServiceMaker

from p2pchat.tap.p2p_endpoint import PeerClientParser, PeerServerParser
from p2pchat.tap.tls_endpoint import TLSParser

p2psignal = ServiceMaker(
    "p2pchat registry",
    "p2pchat.tap.p2psignal",
    "Introduces p2pchat peers to each other, and answers STUN.",
    "p2psignal",
)

p2ppeer = ServiceMaker(
    "p2pchat peer",
    "p2pchat.tap.p2ppeer",
    "Talks to another p2pchat peer directly, through NATs.",
    "p2ppeer",
)

p2pnode = ServiceMaker(
    "p2pchat node",
    "p2pchat.tap.p2pnode",
    "Is a p2pchat peer without a console, to which other programs attach.",
    "p2pnode",
)

p2ppipe = ServiceMaker(
    "p2pchat pipe",
    "p2pchat.tap.p2ppipe",
    "Passes on what comes in at one endpoint to another, p2p: among them.",
    "p2ppipe",
)

tlsfiles = TLSParser()

p2pclient = PeerClientParser()
p2pserver = PeerServerParser()
