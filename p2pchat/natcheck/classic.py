"""
pystun3's label for our NAT: RFC 3489's classic kinds, as people know them.

pystun3 blocks, so it runs in a thread of its own, a daemon so that it never holds up the end of
the program.  It gets a :class:`MeteredSocket` instead of a real one, which keeps it from what it
is known to do:

- loop for ever on a refused CHANGE-REQUEST, or on stray datagrams: the socket has a budget of
  datagrams and a deadline, and shows pystun3 only answers to its present request;
- lose the mapped address: the socket reads it from the first answer;
- give a label that nothing shows, where the server has one address only: the socket sees that in
  the first answer and ends the matter.

What pystun3 raises is trouble, and no error of ours.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import attrs
import stun as pystun3
from twisted.internet.defer import Deferred

from p2pchat.errors import P2PChatError, RemoteProtocolError
from p2pchat.runtime import Runtime
from p2pchat.traversal.reachability import may_serve
from p2pchat.traversal.round_trips import TRIPS, bounded
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address, scope
from p2pchat.wire.stun import Message, MessageClass

DEADLINE = 20.0  # seconds, where round trips are short; else ...
LONGEST_DEADLINE = 150.0  # ... those of three silent tests of four requests each at most
MAX_REQUESTS = 40  # pystun3 sends each of at most four tests up to four times
ANSWER_TIMEOUT = 0.8  # seconds; pystun3 asks four times, so that silence takes 3.2, ...
LONGEST_TIMEOUT = 12.0  # ... or some round trips; seconds at most
_GRACE = 1.0  # seconds that the thread may take to notice the deadline
_ONE_ADDRESS = "the STUN server has one address only, so pystun3 can't tell the kind"


@attrs.frozen
class NatType:
    """
    A reading by pystun3.

    :ivar label: in pystun3's words, "" where it came to none.
    :ivar address: our address as the server saw it.
    :ivar trouble: a sentence where something went wrong.
    """

    label: str = ""
    address: Address | None = None
    trouble: str = ""


class UdpSocket(Protocol):
    """The part of a socket that is used."""

    def sendto(self, data: bytes, address: Any) -> int:
        """Send a datagram."""

    def recvfrom(self, size: int) -> tuple[bytes, Any]:
        """Wait for a datagram; raises ``OSError`` where none comes."""


class Stop(P2PChatError):
    """The end of pystun3's run; its text is the trouble."""


@attrs.define
class MeteredSocket:
    """
    The socket that pystun3 is given.

    :ivar mapped: our address, from the first answer.
    """

    _socket: UdpSocket
    _now: Callable[[], float]
    _ends: float
    _timeout: float = ANSWER_TIMEOUT
    mapped: Address | None = None
    _request: bytes = b""
    _requests: int = 0
    _stop: str = ""

    def sendto(self, data: bytes, address: Any) -> int:
        """Send a request of pystun3, unless it has had enough."""
        self._requests += 1
        if self._stop:
            raise Stop(self._stop)
        if self._requests > MAX_REQUESTS or self._now() >= self._ends:
            raise Stop("pystun3 came to no end")
        self._request = data
        return self._socket.sendto(data, address)

    def recvfrom(self, size: int) -> tuple[bytes, Any]:
        """Return the answer to the last request, or raise ``TimeoutError``."""
        waited_out = self._now() + self._timeout
        while self._now() < min(waited_out, self._ends):
            data, source = self._socket.recvfrom(size)
            if self._is_answer(data, source):
                return data, source
        raise TimeoutError

    def _is_answer(self, data: bytes, source: Any) -> bool:
        try:
            message = stun.decode(data, allow_classic=True)
        except RemoteProtocolError:
            return False
        if data[4:20] != self._request[4:20]:
            return False
        if message.message_class is MessageClass.SUCCESS:
            self._learn(message, source)
            return True
        if message.message_class is MessageClass.ERROR:
            self._stop = f"the STUN server refuses: {message.attributes.get('ERROR-CODE')}"
        return False

    def _learn(self, message: Message, source: Any) -> None:
        if self.mapped is not None:
            return
        self.mapped = stun.mapped_address(message)
        changed = message.attributes.get("CHANGED-ADDRESS")
        # A server chooses where we send to only as a registry does.
        if (
            changed is None
            or changed[0] == source[0]
            or not may_serve((changed[0], changed[1]), scope(source[0]))
        ):
            self._stop = _ONE_ADDRESS


def ask_pystun3(metered: MeteredSocket, local: Address, server: Address) -> NatType:
    """Run pystun3 on a socket; blocks, never raises."""
    try:
        label, _ = pystun3.get_nat_type(metered, *local, stun_host=server[0], stun_port=server[1])
    except Stop as stop:
        return NatType("", metered.mapped, str(stop))
    except Exception as error:  # KeyError, TypeError, ValueError and more are known
        return NatType("", metered.mapped, f"pystun3 failed: {error!r}")
    if label == pystun3.ChangedAddressError:
        return NatType("", metered.mapped, "the STUN server's other address doesn't answer")
    return NatType(label, metered.mapped)


def _classify(server: Address, round_trip: float) -> NatType:
    timeout = _timeout(round_trip)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind((_local_ip(server), 0))
            udp.settimeout(timeout)
            ends = time.monotonic() + _deadline(round_trip)
            metered = MeteredSocket(udp, time.monotonic, ends, timeout)
            return ask_pystun3(metered, udp.getsockname(), server)
    except OSError as error:
        return NatType(trouble=f"{server[0]}: {error.strerror or error}")


def _timeout(round_trip: float) -> float:
    return bounded(ANSWER_TIMEOUT, TRIPS * round_trip, LONGEST_TIMEOUT)


def _deadline(round_trip: float) -> float:
    """Return the seconds that pystun3 has altogether."""
    wanted = DEADLINE * _timeout(round_trip) / ANSWER_TIMEOUT
    return bounded(DEADLINE, wanted, LONGEST_DEADLINE)


def _local_ip(server: Address) -> str:
    """Return the address that we send from, which pystun3 needs to know an un-NATed host."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect(server)
        return str(udp.getsockname()[0])


def read_nat_type(
    runtime: Runtime,
    server: Address,
    classify: Callable[[Address, float], NatType] = _classify,
    round_trip: float = 0.0,
) -> Deferred[NatType]:
    """
    Let pystun3 classify our NAT, within DEADLINE seconds, or more where round trips are long.

    Never fails: what went wrong is the ``trouble`` of the answer.

    :param classify: blocks; called in the thread.
    :param round_trip: seconds to the server, 0 while unknown.
    """
    answer: Deferred[NatType] = Deferred()

    def work() -> None:
        runtime.reactor.callFromThread(answer.callback, classify(server, round_trip))

    threading.Thread(target=work, name="pystun3", daemon=True).start()
    deadline = _deadline(round_trip)
    late = NatType(trouble=f"pystun3 had no answer within {deadline:.0f} seconds")
    return answer.addTimeout(deadline + _GRACE, runtime.clock, lambda _result, _deadline: late)
