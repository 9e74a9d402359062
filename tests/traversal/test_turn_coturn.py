"""
The TURN client against coturn, over real sockets on loopback.

Runs when asked for, as the trials in the lab, but needs no rights::

    P2PCHAT_LAB=1 python -m twisted.trial tests.traversal.test_turn_coturn
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.ssl import Certificate
from twisted.trial import unittest

from p2pchat.registry.relay_credentials import RelayCredentials
from p2pchat.runtime import real_runtime
from p2pchat.traversal.turn import AllocationState
from p2pchat.wire.addresses import Address
from p2pchat.wire.servers import LongTermCredential, RelayServer, Transport
from tests.certificates import write_certificate
from tests.ports import free_port
from tests.traversal.carriers import Carrier, StreamCarrier, UdpCarrier

PROGRAM = "turnserver"
HOST = "127.0.0.1"
SECRET = b"shared-with-coturn"
POLL = 0.02  # seconds
START_LIMIT = 10.0  # seconds
LIMIT = 8.0  # seconds for anything awaited
FORGOTTEN = 2.0  # seconds after which coturn has ended what was given back


def reason_to_skip() -> str:
    """Return why these tests can't run here, or nothing."""
    if os.environ.get("P2PCHAT_LAB") != "1":
        return "real relays are tried only with P2PCHAT_LAB=1"
    return "" if shutil.which(PROGRAM) else f"no {PROGRAM} on the PATH: install coturn"


class Coturn:
    """One process, its ports and its certificate."""

    def __init__(self, *options: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="p2pchat-coturn-")
        folder = Path(self._folder.name)
        self.certificate = Certificate.loadPEM(write_certificate(folder, HOST))
        self.port, self.tls_port = free_port(), free_port()
        self._log = (folder / "output").open("wb")
        self._process = subprocess.Popen(
            [
                *(PROGRAM, "-n", "--no-cli", "--use-auth-secret", "--realm=relay.test"),
                *(f"--static-auth-secret={SECRET.decode()}", f"--listening-ip={HOST}"),
                *(f"--relay-ip={HOST}", "--allow-loopback-peers", "--no-dtls"),
                *(f"--listening-port={self.port}", f"--tls-listening-port={self.tls_port}"),
                *(f"--cert={folder}/certificate.pem", f"--pkey={folder}/key.pem"),
                *(f"--pidfile={folder}/pid", "--log-file=stdout", f"--userdb={folder}/db"),
                *options,
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_LIMIT
        for port in (self.port, self.tls_port):
            while True:
                try:
                    socket.create_connection((HOST, port), 1).close()
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(POLL)

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(START_LIMIT)
        self._log.close()
        self._folder.cleanup()


class Echo(DatagramProtocol):
    """A peer that answers everything."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Address]] = []

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Keep it and send it back."""
        self.received.append((datagram, (addr[0], addr[1])))
        assert self.transport is not None
        self.transport.write(b"re: " + datagram, addr)


class Case(unittest.TestCase):
    """A relay, a peer, and ways to wait."""

    if reason_to_skip():
        skip = reason_to_skip()
    timeout = 60
    options: tuple[str, ...] = ()

    def setUp(self) -> None:
        """Start both."""
        self.relay = Coturn(*self.options)
        self.addCleanup(self.relay.close)
        self.runtime = real_runtime(reactor)
        self.echo = Echo()
        port = self.runtime.reactor.listenUDP(0, self.echo, interface=HOST, maxPacketSize=65535)
        self.addCleanup(port.stopListening)
        self.peer = (HOST, port.getHost().port)

    def credentials(self, secret: bytes = SECRET, ttl: int = 600) -> LongTermCredential:
        """Issue credentials as the registry does."""
        return RelayCredentials((), ttl, secret, b"key").issue("peer", time.time())

    def dial(self, transport: Transport, **options: Any) -> Carrier:
        """Start an allocation that ends with the test."""
        credentials = options.pop("credentials", None) or self.credentials()
        carrier: Carrier
        if transport is Transport.UDP:
            udp = UdpCarrier(self.runtime, (HOST, self.relay.port), credentials, **options)
            self.addCleanup(udp.port.stopListening)
            carrier = udp
        else:
            port = self.relay.port if transport is Transport.TCP else self.relay.tls_port
            options.setdefault("trust", self.relay.certificate)
            server = RelayServer(HOST, port, transport)
            carrier = StreamCarrier(self.runtime, server, credentials, **options)
            self.addCleanup(carrier.stream.close)
        self.addCleanup(carrier.stop)
        return carrier

    @inlineCallbacks
    def until(self, happened: Any, limit: float = LIMIT) -> Any:
        """Wait until something has happened."""
        deadline = time.monotonic() + limit
        while not happened():
            self.assertLess(time.monotonic(), deadline, "it didn't happen in time")
            yield self.pause(POLL)

    def pause(self, seconds: float) -> Deferred[None]:
        """Wait."""
        done: Deferred[None] = Deferred()
        self.runtime.reactor.callLater(seconds, done.callback, None)
        return done

    @inlineCallbacks
    def allocated(self, transport: Transport, **options: Any) -> Any:
        """Return an allocation that is there."""
        carrier = self.dial(transport, **options)
        yield self.until(lambda: carrier.allocation.state is not AllocationState.ALLOCATING)
        self.assertIs(
            carrier.allocation.state, AllocationState.ALLOCATED, carrier.allocation.failure
        )
        return carrier

    @inlineCallbacks
    def say(self, carrier: Carrier, data: bytes) -> Any:
        """Send a datagram to the echo and wait for it to come back."""
        carrier.do(carrier.allocation.send, data, self.peer)
        yield self.until(lambda: (b"re: " + data, self.peer) in carrier.received)


class TransportTests(Case):
    """The whole life, over each transport."""

    @inlineCallbacks
    def live(self, transport: Transport) -> Any:
        """Allocate, relay both ways over indications and a channel, refresh, close."""
        carrier = yield self.allocated(transport)
        allocation = carrier.allocation
        for size in (1, 2, 3, 4, 5, 1200):
            yield self.say(carrier, b"%d " % size + bytes(size))
        self.assertEqual({source for _, source in self.echo.received}, {allocation.relayed})
        self.assertTrue(any("channel" in line for line in allocation.story()))
        carrier.do(allocation.refresh)
        yield self.pause(0.2)
        yield self.say(carrier, b"after the refresh")
        self.assertFalse(any("dropped" in line for line in allocation.story()))
        relayed = allocation.relayed
        carrier.do(allocation.close)
        yield self.until(lambda: allocation.get_timer() is None)
        yield self.pause(FORGOTTEN)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(relayed)

    def test_udp(self) -> Any:
        """Over UDP."""
        return self.live(Transport.UDP)

    def test_tcp(self) -> Any:
        """Over TCP."""
        return self.live(Transport.TCP)

    def test_tls(self) -> Any:
        """Over TLS."""
        return self.live(Transport.TLS)

    @inlineCallbacks
    def test_two_allocations(self) -> Any:
        """Two clients talk through both their relayed addresses, one over UDP, one over TLS."""
        one = yield self.allocated(Transport.UDP)
        two = yield self.allocated(Transport.TLS)
        two.do(two.allocation.permit, [one.allocation.relayed])
        yield self.until(lambda: "1 of 1 peer addresses are permitted" in two.allocation.story())
        for number in range(4):
            one.do(one.allocation.send, b"%d" % number, two.allocation.relayed)
            two.do(two.allocation.send, b"%d" % number, one.allocation.relayed)
        yield self.until(lambda: len(one.received) >= 4 and len(two.received) >= 4)
        self.assertEqual({peer for _, peer in one.received}, {two.allocation.relayed})

    @inlineCallbacks
    def test_untrusted(self) -> Any:
        """A certificate that nobody vouches for ends it, with the reason."""
        carrier = self.dial(Transport.TLS, trust=None)
        yield self.until(lambda: carrier.allocation.state is AllocationState.FAILED)
        self.assertIn("its certificate is signed by itself", carrier.allocation.failure)


class RefusalTests(Case):
    """What coturn refuses."""

    options = ("--user-quota=1", "--no-multicast-peers", "--denied-peer-ip=10.0.0.0-10.255.255.255")

    @inlineCallbacks
    def test_wrong_credentials(self) -> Any:
        """A wrong secret and an expired username are told over each transport."""
        for transport in Transport:
            for bad in (self.credentials(secret=b"guess"), self.credentials(ttl=-60)):
                carrier = self.dial(transport, credentials=bad)
                yield self.until(lambda c=carrier: c.allocation.state is AllocationState.FAILED)
                self.assertIn("wrong credentials", carrier.allocation.failure)

    @inlineCallbacks
    def test_quota(self) -> Any:
        """A quota that is used up is told."""
        credentials = self.credentials()
        yield self.allocated(Transport.UDP, credentials=credentials)
        carrier = self.dial(Transport.UDP, credentials=credentials)
        yield self.until(lambda: carrier.allocation.state is AllocationState.FAILED)
        self.assertIn("quota", carrier.allocation.failure)

    @inlineCallbacks
    def test_refused_peers(self) -> Any:
        """Peers that its configuration denies are refused one by one; the rest is served."""
        carrier = yield self.allocated(Transport.UDP)
        bad = [("10.1.2.3", 7), ("224.0.0.5", 7), ("0.0.0.0", 7)]
        carrier.do(carrier.allocation.permit, [*bad, self.peer])
        yield self.say(carrier, b"one")
        refused = [f"peer address {host} is refused" for host, _ in bad]
        yield self.until(
            lambda: all(one in " ".join(carrier.allocation.story()) for one in refused)
        )
        yield self.say(carrier, b"two")
        self.assertIs(carrier.allocation.state, AllocationState.ALLOCATED)

    @inlineCallbacks
    def test_restarted_client(self) -> Any:
        """A client that comes back on its old port gets an allocation, after the old one ended."""
        credentials = self.credentials()
        first = yield self.allocated(Transport.UDP, credentials=credentials)
        port = first.port.getHost().port
        first.stop()
        yield first.port.stopListening()
        second = yield self.allocated(Transport.UDP, credentials=credentials, port=port)
        yield self.say(second, b"again")


class NonceTests(Case):
    """A relay whose nonces live for a second."""

    options = ("--stale-nonce=1",)

    @inlineCallbacks
    def test_renewed(self) -> Any:
        """Every request goes through with the new nonce, and closing too."""
        for transport in (Transport.UDP, Transport.TCP):
            carrier = yield self.allocated(transport)
            for number in range(3):
                yield self.pause(2.1)
                carrier.do(carrier.allocation.refresh)
                yield self.say(carrier, b"%s %d" % (transport.value.encode(), number))
            self.assertFalse(any("dropped" in line for line in carrier.allocation.story()))
            yield self.pause(2.1)
            carrier.do(carrier.allocation.close)
            yield self.until(lambda c=carrier: c.allocation.get_timer() is None)
