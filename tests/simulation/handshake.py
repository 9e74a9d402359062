"""
The TCP handshake between two simulated hosts (RFC 9293 section 3.5).

A SYN goes out, again after a doubling timeout while the path loses it.  A host where nobody
listens answers with a reset; the firewall of a NAT, and an address that nobody has, never
answer, and Twisted's own time-out ends the attempt.  The server's end exists from the SYN-ACK
on, and is accepted when the client's ACK, the first segment of its stream, arrives.
"""

from __future__ import annotations

from errno import ECONNREFUSED, ENETUNREACH

from tests.simulation.network import Address
from tests.simulation.path import Path, find_path, loopback
from tests.simulation.ports import ANY_INTERFACE, ANY_IPV6
from tests.simulation.stream import ACK, Stream
from tests.simulation.tcp_socket import ListeningSocket, State, StreamSocket

SYN_TIMEOUT = 1.0  # seconds, doubled each time; RFC 6298 section 2


def begin_handshake(client: StreamSocket, destination: Address) -> None:
    """Send the first SYN of a socket; gives it a name if it has none."""
    host = client.host
    is_local = host.is_local(destination[0])
    own = destination[0] if is_local else host.source(destination[0])
    if own is None or (":" in own) is not (":" in destination[0]):
        client.fail(ENETUNREACH)
        return
    if client.name[1] == 0:
        client.bind((own, 0))
    if is_local:
        path = loopback(host, client.name)
    else:
        interface, port = client.name
        source = (own if interface in {ANY_INTERFACE, ANY_IPV6} else interface, port)
        path = find_path(host, source, destination[0])
    _send_syn(client, path, destination, SYN_TIMEOUT)


def _send_syn(client: StreamSocket, path: Path, destination: Address, timeout: float) -> None:
    if client.state is not State.CONNECTING:
        return
    clock = client.host.internet.clock
    delay = path.delay() if path.target else None
    if delay is None:
        again = clock.rightNow + timeout
        clock.post(again, _send_syn, client, path, destination, 2 * timeout)
    else:
        clock.post(clock.rightNow + delay, _take_syn, client, path, destination, timeout)


def _take_syn(client: StreamSocket, path: Path, destination: Address, timeout: float) -> None:
    clock, target = client.host.internet.clock, path.target
    outside = (client.host.led_to(destination[0]), destination[1])
    listener = target.listener(outside) if target else None
    silent = listener is None and not (target and target.refuses_strangers())
    delay = None if silent else path.delay()
    if delay is None:
        again = clock.rightNow + timeout
        clock.post(again, _send_syn, client, path, destination, 2 * timeout)
    elif listener is None:
        clock.post(clock.rightNow + delay, client.fail, ECONNREFUSED)
    else:
        clock.post(clock.rightNow + delay, _take_syn_ack, client, path, destination, listener)


def _take_syn_ack(
    client: StreamSocket, path: Path, destination: Address, listener: ListeningSocket
) -> None:
    if client.state is not State.CONNECTING:
        return
    clock = client.host.internet.clock
    server = StreamSocket(listener.host, begin_handshake)
    server.name = (client.host.led_to(destination[0]), destination[1])
    request = Stream(path, clock, client, server, is_clients=True)
    response = Stream(path, clock, server, client, is_clients=False)
    server.establish(path.source, response, request, listener)
    client.establish(destination, request, response)
    request.send(ACK)
