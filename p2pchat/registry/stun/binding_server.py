"""
Answers to STUN Binding requests: their attributes, and the socket that each is sent from.

Serves three generations of clients on the same ports:

* RFC 8489: XOR-MAPPED-ADDRESS, SOFTWARE, FINGERPRINT where the request had it, 420 for what must
  be understood and isn't; MAPPED-ADDRESS too, for RFC 3489 clients that send the cookie;
* RFC 5780, where the host has two addresses: RESPONSE-ORIGIN, OTHER-ADDRESS; CHANGE-REQUEST,
  RESPONSE-PORT and PADDING are honoured (coturn's ``turnutils_stunclient`` waits for ever
  without the last two).  With one address there is no OTHER-ADDRESS and the three are answered
  420, as section 6.1 wants;
* RFC 3489 (*classic*: no magic cookie): MAPPED-ADDRESS, SOURCE-ADDRESS, CHANGED-ADDRESS, no
  attribute that needs padding, and silence instead of errors: pystun3 asks again at once, for
  ever, when it reads a 420.  RESPONSE-ADDRESS is never honoured, which would aim our answers at
  third parties.  Over IPv6, which RFC 3489 doesn't know, there is silence.

pystun3 must also come to an end, and to no false label, with one address only.  CHANGED-ADDRESS
has to be there (without it pystun3 dies by TypeError), so it names NO_CHANGED_ADDRESS, where
nobody answers: after 16 seconds pystun3 says "Meet an error, when do Test1 on Changed IP and
Port", which is the truth.  (Given a ``source_ip`` that equals the mapped one, it stops after 8
seconds at "Symmetric UDP Firewall", because no answer came from a changed address.  No server
with one address can prevent that; such a caller must not take the label for a finding.)

Deviations: PADDING is answered with as many bytes as the request had, not with as many as the
interface's MTU, so as not to amplify; RESPONSE-ORIGIN is left out, and SOURCE-ADDRESS is 0.0.0.0,
where the socket is bound to all interfaces, since its own address isn't known then.
"""

from __future__ import annotations

import attrs

from p2pchat import __version__
from p2pchat.errors import RemoteProtocolError
from p2pchat.wire import stun
from p2pchat.wire.addresses import ANY_IPV6, Address
from p2pchat.wire.stun import BINDING, CHANGE_IP, CHANGE_PORT, Attributes, Message, MessageClass

# Times the bytes of the request.  RFC 5780 clients send 20 bytes, and can't do without
# XOR-MAPPED-ADDRESS and OTHER-ADDRESS: over IPv6 that makes 68.  With the headers of IP and UDP
# an answer has at most 2.1 times the bytes of its request.
MAX_AMPLIFICATION = 3.4

# The client's own machine, port "discard": sendable on every system, answered on none.
NO_CHANGED_ADDRESS: Address = ("127.0.0.1", 9)
UNSPECIFIED = "0.0.0.0"

# RFC 5780; understood where there are two addresses.
DISCOVERY = {"CHANGE-REQUEST": 0x0003, "PADDING": 0x0026, "RESPONSE-PORT": 0x0027}
MAX_REQUEST = 2048  # bytes; a request with PADDING must exceed the MTU to be of use
_NAME = f"p2pchat {__version__}"
SOFTWARE = _NAME + " " * (-len(_NAME) % 4)  # a multiple of 4: pystun3 can't skip padding

# What is left out, in this order, of an answer that would exceed MAX_AMPLIFICATION.  The last is
# reached by bare requests over IPv6 only.
_DISPENSABLE = ("SOFTWARE", "MAPPED-ADDRESS", "RESPONSE-ORIGIN")


@attrs.frozen
class ServerSocket:
    """One of the sockets, by the numbers of its address and its port; each 0 or 1."""

    address: int = 0
    port: int = 0

    def changed(self, flags: int) -> ServerSocket:
        """Return the socket that CHANGE-REQUEST flags ask for."""
        return ServerSocket(
            self.address ^ bool(flags & CHANGE_IP), self.port ^ bool(flags & CHANGE_PORT)
        )

    def other(self) -> ServerSocket:
        """Return the socket with the other address and the other port."""
        return self.changed(CHANGE_IP | CHANGE_PORT)


@attrs.frozen
class BindingResponse:
    """
    A datagram to send.

    :ivar sent_from: the socket that it must come from.
    """

    data: bytes
    sent_from: ServerSocket
    destination: Address
    is_error: bool = False


@attrs.frozen
class BindingServer:
    """
    Answers Binding requests on two ports of one or two addresses.

    :ivar addresses: IP literals; the only one may be empty, all interfaces in IPv4, or ``::``, all
        in IPv6.
    :ivar first_port: the second port is the next one.
    """

    addresses: tuple[str, ...]
    first_port: int

    def sockets(self) -> list[ServerSocket]:
        """Return all the sockets."""
        return [ServerSocket(n, port) for n in range(len(self.addresses)) for port in (0, 1)]

    def transport_address(self, socket: ServerSocket) -> Address:
        """Return where a socket is bound."""
        return self.addresses[socket.address] or UNSPECIFIED, self.first_port + socket.port

    def answer(
        self, data: bytes, source: Address, received_on: ServerSocket
    ) -> BindingResponse | None:
        """
        Answer a datagram; None means silence.

        :param source: where it came from.
        :raises RemoteProtocolError: it is no Binding request.
        """
        request = stun.decode(data, allow_classic=True, most=MAX_REQUEST)
        if request.message_class is not MessageClass.REQUEST or request.method != BINDING:
            raise RemoteProtocolError("not a Binding request")
        if request.is_classic:
            return self._classic(request, source, received_on)
        refusal = self._refusal(request)
        if refusal is not None:
            return BindingResponse(_encode(refusal, request, len(data)), received_on, source, True)
        socket = received_on.changed(request.attributes.get("CHANGE-REQUEST", 0))
        response = self._response(request, source, received_on, socket)
        destination = source[0], request.attributes.get("RESPONSE-PORT", source[1])
        return BindingResponse(_encode(response, request, len(data)), socket, destination)

    def _refusal(self, request: Message) -> Message | None:
        given = [kind for name, kind in DISCOVERY.items() if name in request.attributes]
        unknown = request.unknown_required + tuple(() if self._has_second else given)
        if unknown:
            phrase = "Unknown Attribute"
            return stun.failure(request, 420, phrase, UNKNOWN_ATTRIBUTES=unknown, SOFTWARE=SOFTWARE)
        both = {"PADDING", "RESPONSE-PORT"} <= request.attributes.keys()  # RFC 5780 section 6.1
        if both or request.attributes.get("RESPONSE-PORT") == 0:
            return stun.failure(request, 400, "Bad Request", SOFTWARE=SOFTWARE)
        return None

    @property
    def _has_second(self) -> bool:
        return len(self.addresses) == 2

    def _response(
        self, request: Message, source: Address, received_on: ServerSocket, socket: ServerSocket
    ) -> Message:
        attributes: Attributes = {"MAPPED_ADDRESS": source, "XOR_MAPPED_ADDRESS": source}
        if self.addresses[socket.address] not in {"", ANY_IPV6}:
            attributes["RESPONSE_ORIGIN"] = self.transport_address(socket)
        if self._has_second:
            attributes["OTHER_ADDRESS"] = self.transport_address(received_on.other())
        if "PADDING" in request.attributes:
            attributes["PADDING"] = bytes(len(request.attributes["PADDING"]))
        return stun.success(request, **attributes, SOFTWARE=SOFTWARE)

    def _classic(
        self, request: Message, source: Address, received_on: ServerSocket
    ) -> BindingResponse | None:
        flags = request.attributes.get("CHANGE-REQUEST", 0)
        foreign = request.attributes.keys() & {"PADDING", "RESPONSE-PORT"}  # not of RFC 3489
        ipv6 = ":" in source[0] + self.addresses[0]
        if ipv6 or request.unknown_required or foreign:
            return None
        if flags and not self._has_second:
            return None
        socket = received_on.changed(flags)
        changed = NO_CHANGED_ADDRESS
        if self._has_second:
            changed = self.transport_address(received_on.other())
        response = stun.success(
            request,
            MAPPED_ADDRESS=source,
            SOURCE_ADDRESS=self.transport_address(socket),
            CHANGED_ADDRESS=changed,
        )
        return BindingResponse(stun.encode(response), socket, source)


def _encode(response: Message, request: Message, length: int) -> bytes:
    fingerprint = "FINGERPRINT" in request.attributes
    data = stun.encode(response, fingerprint=fingerprint)
    for dropped in _DISPENSABLE:
        if len(data) <= MAX_AMPLIFICATION * length:
            break
        response.attributes.pop(dropped, None)
        data = stun.encode(response, fingerprint=fingerprint)
    return data
