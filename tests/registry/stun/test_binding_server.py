"""STUN answers, against an oracle that states the rules of three RFCs."""

from __future__ import annotations

import struct
from zlib import crc32

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.registry.stun.binding_server import (
    MAX_AMPLIFICATION,
    NO_CHANGED_ADDRESS,
    SOFTWARE,
    BindingResponse,
    BindingServer,
    ServerSocket,
)
from p2pchat.wire import stun
from p2pchat.wire.stun import Message, MessageClass, decode, encode

ONE = BindingServer(("192.0.2.1",), 3478)
TWO = BindingServer(("192.0.2.1", "198.51.100.1"), 3478)
TWO_V6 = BindingServer(("2001:db8::1", "2001:db8::2"), 3478)
ANY = BindingServer(("",), 3478)

SOURCE = ("203.0.113.9", 4242)
SOURCE_V6 = ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 65535)
HERE = ServerSocket(0, 0)
ID = bytes(range(12))
CLASSIC_ID = bytes(range(16))

IP_AND_UDP = (28, 48)  # bytes of headers: IPv4, IPv6

CHANGE_IP_FLAG, CHANGE_PORT_FLAG = 4, 2


def attribute(kind: int, value: bytes) -> bytes:
    """Write an attribute by hand, so that any type can be sent."""
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def raw_request(*attributes: tuple[int, bytes], classic: bool = False) -> bytes:
    """Write a Binding request by hand."""
    body = b"".join(attribute(*one) for one in attributes)
    identity = CLASSIC_ID if classic else bytes.fromhex("2112a442") + ID
    return struct.pack("!HH", 1, len(body)) + identity + body


def with_fingerprint(data: bytes) -> bytes:
    """Add FINGERPRINT to a request."""
    longer = data[:2] + struct.pack("!H", len(data) - 20 + 8) + data[4:]
    return longer + attribute(0x8028, struct.pack("!I", crc32(longer) ^ 0x5354554E))


def change(flags: int) -> tuple[int, bytes]:
    """Make a CHANGE-REQUEST."""
    return 0x0003, struct.pack("!I", flags)


class AnswerCase(SynchronousTestCase):
    """Reads answers."""

    def answer(
        self, server: BindingServer, data: bytes, received_on: ServerSocket = HERE
    ) -> tuple[BindingResponse, Message]:
        answer = server.answer(data, SOURCE, received_on)
        assert answer is not None, "silence"
        return answer, decode(answer.data, allow_classic=True, most=4096)

    def assertRefuses(self, server: BindingServer, code: int, data: bytes) -> Message:
        """The answer is this error, from the socket that was asked."""
        answer, message = self.answer(server, data)
        self.assertEqual((answer.sent_from, answer.destination), (HERE, SOURCE))
        self.assertEqual(message.message_class, MessageClass.ERROR)
        self.assertEqual(message.attributes["ERROR-CODE"][0], code)
        return message


class Rfc8489Tests(AnswerCase):
    """Clients of today."""

    def test_binding(self) -> None:
        """The answer has the source address in both forms, and names the software."""
        for server in (ONE, TWO, ANY):
            answer, message = self.answer(server, encode(stun.request(ID)))
            self.assertEqual((answer.sent_from, answer.destination), (HERE, SOURCE))
            self.assertEqual(message.message_class, MessageClass.SUCCESS)
            self.assertEqual(message.transaction_id, ID)
            self.assertEqual(message.attributes["XOR-MAPPED-ADDRESS"], SOURCE)
            self.assertEqual(message.attributes["MAPPED-ADDRESS"], SOURCE)
            self.assertEqual(next(iter(message.attributes)), "MAPPED-ADDRESS")

    def test_software(self) -> None:
        """The software is named where there is room; its name fills its attribute."""
        _, message = self.answer(TWO, encode(stun.request(ID, SOFTWARE="client")))
        self.assertEqual(message.attributes["SOFTWARE"], SOFTWARE)
        self.assertEqual(len(SOFTWARE) % 4, 0)

    def test_bare_requests(self) -> None:
        """A bare request is told what discovery needs, over IPv6 too, and no more than that."""
        for server, source in ((TWO, SOURCE), (TWO_V6, SOURCE_V6)):
            answer = server.answer(encode(stun.request(ID)), source, HERE)
            assert answer is not None
            told = decode(answer.data).attributes
            self.assertEqual(told["XOR-MAPPED-ADDRESS"], source)
            self.assertEqual(told["OTHER-ADDRESS"], server.transport_address(ServerSocket(1, 1)))
            self.assertEqual(len(answer.data), 68)

    def test_fingerprint(self) -> None:
        """FINGERPRINT is there where the request had it, last, and right; errors have it too."""
        for server, request in (
            (TWO, stun.request(ID)),
            (ONE, stun.request(ID, CHANGE_REQUEST=4)),
        ):
            _, plain = self.answer(server, encode(request))
            answer, message = self.answer(server, encode(request, fingerprint=True))
            self.assertNotIn("FINGERPRINT", plain.attributes)
            self.assertEqual(list(message.attributes)[-1], "FINGERPRINT")
            self.assertEqual(answer.data[-8:-4], bytes.fromhex("80280004"))

    def test_unknown_required(self) -> None:
        """What must be understood and isn't is named in a 420."""
        message = self.assertRefuses(ONE, 420, raw_request((0x7000, b"x"), (0x0777, b"")))
        self.assertEqual(message.attributes["UNKNOWN-ATTRIBUTES"], (0x7000, 0x0777))

    def test_unknown_optional(self) -> None:
        """What may be ignored is."""
        _, message = self.answer(ONE, raw_request((0xC001, b"abc"), (0x8022, b"client")))
        self.assertEqual(message.message_class, MessageClass.SUCCESS)

    def test_not_a_request(self) -> None:
        """Responses, indications, other methods and garbage are no Binding requests."""
        for data in (
            encode(Message(MessageClass.SUCCESS, ID)),
            encode(Message(MessageClass.ERROR, ID)),
            encode(Message(MessageClass.INDICATION, ID)),
            encode(Message(MessageClass.REQUEST, ID, method=3)),
            b"",
            b"hello",
            raw_request()[:-1],
            raw_request() + b"x",
            raw_request((0x0003, b"x")),
            bytes(3000),
        ):
            self.assertRaises(RemoteProtocolError, ONE.answer, data, SOURCE, HERE)

    def test_all_interfaces(self) -> None:
        """Where the own address isn't known, none is claimed."""
        _, message = self.answer(ANY, encode(stun.request(ID)))
        self.assertNotIn("RESPONSE-ORIGIN", message.attributes)


class Rfc5780Tests(AnswerCase):
    """Clients that discover NAT behaviour."""

    def test_other_address(self) -> None:
        """Two addresses: each socket names the one with both parts changed."""
        for origin in TWO.sockets():
            _, message = self.answer(TWO, encode(stun.request(ID)), origin)
            own = TWO.transport_address(origin)
            host, port = message.attributes["OTHER-ADDRESS"]
            self.assertEqual(message.attributes["RESPONSE-ORIGIN"], own)
            self.assertTrue(host != own[0] and port != own[1])

    def test_change(self) -> None:
        """CHANGE-REQUEST is answered from the socket that it asks for, which says so."""
        for flags, expected in ((0, (0, 0)), (2, (0, 1)), (4, (1, 0)), (6, (1, 1))):
            answer, message = self.answer(TWO, encode(stun.request(ID, CHANGE_REQUEST=flags)))
            self.assertEqual(answer.sent_from, ServerSocket(*expected))
            origin = TWO.transport_address(answer.sent_from)
            self.assertEqual(message.attributes["RESPONSE-ORIGIN"], origin)
            self.assertEqual(message.attributes["OTHER-ADDRESS"], ("198.51.100.1", 3479))

    def test_one_address(self) -> None:
        """With one address there is no OTHER-ADDRESS, and what needs two is answered 420."""
        _, message = self.answer(ONE, encode(stun.request(ID)))
        self.assertNotIn("OTHER-ADDRESS", message.attributes)
        for request, kind in (
            (raw_request(change(4)), 0x0003),
            (raw_request(change(0)), 0x0003),
            (raw_request((0x0026, bytes(8))), 0x0026),
            (raw_request((0x0027, bytes(4))), 0x0027),
        ):
            message = self.assertRefuses(ONE, 420, request)
            self.assertEqual(message.attributes["UNKNOWN-ATTRIBUTES"], (kind,))

    def test_response_port(self) -> None:
        """RESPONSE-PORT is answered there, on the host that asked."""
        answer, message = self.answer(TWO, encode(stun.request(ID, RESPONSE_PORT=999)))
        self.assertEqual(answer.destination, (SOURCE[0], 999))
        self.assertEqual(message.attributes["XOR-MAPPED-ADDRESS"], SOURCE)

    def test_padding(self) -> None:
        """PADDING is answered with as much, even above the MTU."""
        _, message = self.answer(TWO, encode(stun.request(ID, PADDING=bytes(1500))))
        self.assertEqual(message.attributes["PADDING"], bytes(1500))

    def test_contradictions(self) -> None:
        """PADDING with RESPONSE-PORT, or port 0, is a bad request."""
        both = stun.request(ID, PADDING=bytes(8), RESPONSE_PORT=9)
        self.assertRefuses(TWO, 400, encode(both))
        self.assertRefuses(TWO, 400, encode(stun.request(ID, RESPONSE_PORT=0)))


class ClassicTests(AnswerCase):
    """RFC 3489 clients, pystun3 above all."""

    def test_two_addresses(self) -> None:
        """The answer has the three addresses, and nothing else."""
        answer, message = self.answer(TWO, raw_request(change(6), classic=True))
        self.assertEqual(answer.sent_from, ServerSocket(1, 1))
        self.assertEqual(message.transaction_id, CLASSIC_ID)
        self.assertEqual(
            message.attributes,
            {
                "MAPPED-ADDRESS": SOURCE,
                "SOURCE-ADDRESS": ("198.51.100.1", 3479),
                "CHANGED-ADDRESS": ("198.51.100.1", 3479),
            },
        )

    def test_one_address(self) -> None:
        """CHANGED-ADDRESS is there, and leads to nobody; a change is met with silence."""
        for server, own in ((ONE, "192.0.2.1"), (ANY, "0.0.0.0")):
            _, message = self.answer(server, raw_request(classic=True))
            self.assertEqual(message.attributes["CHANGED-ADDRESS"], NO_CHANGED_ADDRESS)
            self.assertEqual(message.attributes["SOURCE-ADDRESS"], (own, 3478))
            for flags in (2, 4, 6):
                data = raw_request(change(flags), classic=True)
                self.assertIsNone(server.answer(data, SOURCE, HERE))

    def test_ipv6(self) -> None:
        """RFC 3489 doesn't know IPv6, so that nobody there waits for an answer."""
        self.assertIsNone(TWO_V6.answer(raw_request(classic=True), SOURCE_V6, HERE))

    def test_never_an_error(self) -> None:
        """What isn't understood is met with silence; RESPONSE-ADDRESS is never honoured."""
        elsewhere = (0x0002, bytes.fromhex("0001005001020304"))
        for extra in (elsewhere, (0x7000, b""), (0x0026, bytes(4)), (0x0027, bytes(4))):
            for server in (ONE, TWO):
                data = raw_request(extra, classic=True)
                self.assertIsNone(server.answer(data, SOURCE, HERE))


KINDS = st.sampled_from([0x0003, 0x0006, 0x0024, 0x0026, 0x0027, 0x7000, 0x7001, 0x8022, 0xC000])


def expected_outcome(
    server: BindingServer, kinds: set[int], classic: bool, flags: int, source: tuple[str, int]
) -> str:
    """Say what becomes of a request, in words."""
    unknown = bool(kinds & {0x7000, 0x7001})
    discovery = kinds & {0x0003, 0x0026, 0x0027}
    if classic:
        alone = len(server.addresses) == 1 and 0x0003 in kinds and flags
        silent = (
            unknown or kinds & {0x0026, 0x0027} or alone or SOURCE_V6 is source or server is TWO_V6
        )
        return "silence" if silent else "success"
    if unknown or (discovery and len(server.addresses) == 1):
        return "420"
    return "400" if {0x0026, 0x0027} <= kinds else "success"


class OracleTests(SynchronousTestCase):
    """Any request at all."""

    def outcome(self, answer: BindingResponse | None) -> str:
        if answer is None:
            return "silence"
        message = decode(answer.data, allow_classic=True, most=4096)
        self.assertEqual(answer.is_error, message.message_class is MessageClass.ERROR)
        return str(message.attributes["ERROR-CODE"][0]) if answer.is_error else "success"

    @settings(max_examples=400)
    @given(
        st.sampled_from([ONE, TWO, TWO_V6, ANY]),
        st.lists(KINDS, unique=True, max_size=6),
        st.sampled_from(["bare", "fingerprint", "classic"]),
        st.sampled_from([0, 2, 4, 6]),
        st.sampled_from([SOURCE, SOURCE_V6]),
    )
    def test_rules_and_size(
        self,
        server: BindingServer,
        kinds: list[int],
        form: str,
        flags: int,
        source: tuple[str, int],
    ) -> None:
        """The outcome is the oracle's, and no answer exceeds MAX_AMPLIFICATION."""
        classic = form == "classic"
        values = {0x0003: struct.pack("!I", flags), 0x0024: bytes(4), 0x0027: b"\x01\x00\x00\x00"}
        data = raw_request(*((kind, values.get(kind, b"abcd")) for kind in kinds), classic=classic)
        if form == "fingerprint":
            data = with_fingerprint(data)
        answer = server.answer(data, source, HERE)
        expected = expected_outcome(server, set(kinds), classic, flags, source)
        self.assertEqual(self.outcome(answer), expected)
        if answer is not None:
            self.assertLessEqual(len(answer.data), MAX_AMPLIFICATION * len(data))
            headers = IP_AND_UDP[":" in server.addresses[0] + source[0]]
            self.assertLessEqual(headers + len(answer.data), 2.1 * (headers + len(data)))

    @settings(max_examples=500)
    @given(st.binary(max_size=200), st.booleans(), st.sampled_from([ONE, TWO_V6]))
    def test_any_bytes(self, body: bytes, framed: bool, server: BindingServer) -> None:
        """Any bytes are refused by our error or answered within bounds."""
        body = body[: len(body) // 4 * 4]
        data = raw_request()[:2] + struct.pack("!H", len(body)) + raw_request()[4:] + body
        data = data if framed else body
        try:
            answer = server.answer(data, SOURCE_V6, HERE)
        except RemoteProtocolError:
            return
        self.assertLessEqual(len(answer.data) if answer else 0, MAX_AMPLIFICATION * len(data))
