"""The STUN codec: strict reading, round trips, an independent implementation's bytes."""

from __future__ import annotations

import contextlib
import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import LocalProtocolError, RemoteProtocolError
from p2pchat.wire import stun
from p2pchat.wire.stun import MAX_MESSAGE, Message, MessageClass, decode, encode

ID = bytes(range(12))
KEY = b"VOkJxbRl1RmTxUk/WvJxBt"

# RFC 5769 section 2.1: a request with MESSAGE-INTEGRITY (key above) and FINGERPRINT.
SAMPLE = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e20746573"
    "7420636c69656e74002400046e0001ff80290008932ff9b151263b3600060009"
    "6576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249"
    "c1b571a280280004e57a3bcf"
)
# RFC 5769 section 2.2: the IPv4 response to it.
SAMPLE_RESPONSE = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563"
    "746f7220002000080001a147e112a643000800142b91f599fd9e90c38c7489f9"
    "2af9ba53f06be7d780280004c07d4c96"
)

addresses = st.tuples(
    st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str)),
    st.integers(0, 65535),
)
values = st.fixed_dictionaries(
    {},
    optional={
        "MAPPED-ADDRESS": addresses,
        "XOR-MAPPED-ADDRESS": addresses,
        "CHANGE-REQUEST": st.integers(0, 2**32 - 1),
        "USERNAME": st.text(st.characters(codec="utf-8"), max_size=40),
        "ERROR-CODE": st.tuples(st.integers(300, 699), st.text("abc", max_size=9)),
        "UNKNOWN-ATTRIBUTES": st.lists(st.integers(0, 65535), max_size=5).map(tuple),
        "PADDING": st.binary(max_size=50),
        "RESPONSE-PORT": st.integers(0, 65535),
        "PRIORITY": st.integers(0, 2**32 - 1),
        "USE-CANDIDATE": st.none(),
        "ICE-CONTROLLING": st.integers(0, 2**64 - 1),
        "OTHER-ADDRESS": addresses,
    },
)
messages = st.builds(
    Message,
    st.sampled_from(MessageClass),
    st.binary(min_size=12, max_size=12),
    values,
    st.integers(0, 0xFFF),
)


class RoundTripTests(SynchronousTestCase):
    """What is written is read."""

    @given(messages, st.booleans(), st.booleans())
    def test_round_trip(self, message: Message, integrity: bool, fingerprint: bool) -> None:
        """A message comes back as it was, and its integrity holds for its key only."""
        read = decode(encode(message, KEY if integrity else None, fingerprint))
        self.assertEqual(read.integrity_holds(KEY), integrity)
        self.assertFalse(read.integrity_holds(KEY + b"x"))
        self.assertEqual("FINGERPRINT" in read.attributes, fingerprint)
        kept = {name: v for name, v in read.attributes.items() if name in message.attributes}
        self.assertEqual(
            (read.message_class, read.method, read.transaction_id, kept),
            (message.message_class, message.method, message.transaction_id, message.attributes),
        )

    @given(st.binary(min_size=16, max_size=16).filter(lambda b: b[:4] != b"\x21\x12\xa4\x42"))
    def test_classic(self, transaction_id: bytes) -> None:
        """A classic message has 16 bytes of transaction id, and is read only where allowed."""
        data = encode(Message(MessageClass.REQUEST, transaction_id, {"CHANGE-REQUEST": 6}))
        self.assertEqual(decode(data, allow_classic=True).transaction_id, transaction_id)
        self.assertTrue(decode(data, allow_classic=True).is_classic)
        self.assertRaises(RemoteProtocolError, decode, data)

    def test_unwritable(self) -> None:
        """An attribute that the wire doesn't know is our own mistake."""
        for attributes in ({"NO-SUCH": 1}, {"PRIORITY": -1}, {"MAPPED-ADDRESS": ("x", 1)}):
            message = Message(MessageClass.REQUEST, ID, attributes)
            self.assertRaises(LocalProtocolError, encode, message)


class SampleTests(SynchronousTestCase):
    """The test vectors of RFC 5769."""

    def test_request(self) -> None:
        """The request is read, and its integrity and fingerprint hold."""
        message = decode(SAMPLE)
        self.assertEqual(message.attributes["USERNAME"], "evtj:h6vY")
        self.assertEqual(message.attributes["PRIORITY"], 0x6E0001FF)
        self.assertTrue(message.integrity_holds(KEY))

    def test_response(self) -> None:
        """The response's mapped address is read."""
        message = decode(SAMPLE_RESPONSE)
        self.assertEqual(stun.mapped_address(message), ("192.0.2.1", 32853))
        self.assertTrue(message.integrity_holds(KEY))


class StrictnessTests(SynchronousTestCase):
    """What isn't well-formed raises RemoteProtocolError."""

    def refuse(self, data: bytes) -> None:
        """These bytes are refused."""
        self.assertRaises(RemoteProtocolError, decode, data)

    def attribute(self, kind: int, value: bytes, length: int | None = None) -> bytes:
        """Write a request with one attribute, its length as given."""
        stated = len(value) if length is None else length
        body = struct.pack("!HH", kind, stated) + value + bytes(-len(value) % 4)
        return struct.pack("!HH", 1, len(body)) + bytes.fromhex("2112a442") + ID + body

    @settings(max_examples=500)
    @given(st.binary(max_size=120), st.booleans())
    def test_any_bytes(self, data: bytes, classic: bool) -> None:
        """Any bytes raise only our error."""
        framed = struct.pack("!HH", 1, len(data) // 4 * 4) + bytes.fromhex("2112a442") + ID
        for one in (data, framed + data[: len(data) // 4 * 4]):
            with contextlib.suppress(RemoteProtocolError):
                decode(one, allow_classic=classic)

    @settings(max_examples=300)
    @given(st.sampled_from([SAMPLE, SAMPLE_RESPONSE]), st.data())
    def test_any_change(self, sample: bytes, data: st.DataObject) -> None:
        """A changed byte never passes unnoticed under integrity and fingerprint."""
        at = data.draw(st.integers(0, len(sample) - 1))
        changed = bytes([sample[at] ^ data.draw(st.integers(1, 255))])
        try:
            message = decode(sample[:at] + changed + sample[at + 1 :])
        except RemoteProtocolError:
            return
        self.assertFalse("FINGERPRINT" in message.attributes and message.integrity_holds(KEY))

    def test_length(self) -> None:
        """The length must be that of what came, a multiple of four, and bounded."""
        good = encode(stun.request(ID, PADDING=bytes(1240)))
        self.assertEqual(len(good), 1264)
        decode(good)
        self.refuse(good[:-1])
        self.refuse(good + bytes(4))
        self.refuse(encode(stun.request(ID, PADDING=bytes(MAX_MESSAGE))))
        decode(encode(stun.request(ID, PADDING=bytes(MAX_MESSAGE))), most=2048)

    def test_attributes(self) -> None:
        """An attribute past the end, too short or too long for its type is refused."""
        self.refuse(self.attribute(0x8022, b"abcd", length=5))
        self.refuse(self.attribute(0x0003, b"abc"))
        self.refuse(self.attribute(0x0001, bytes(7)))
        self.refuse(self.attribute(0x0008, bytes(19)))
        self.refuse(self.attribute(0x0006, b"\xff"))

    def test_first_counts(self) -> None:
        """Of an attribute that comes twice the first counts."""
        data = self.attribute(0x0024, b"\0\0\0\1")
        data += data[20:-4] + b"\0\0\0\2"
        data = data[:2] + struct.pack("!H", len(data) - 20) + data[4:]
        self.assertEqual(decode(data).attributes, {"PRIORITY": 1})

    def test_after_integrity(self) -> None:
        """What follows MESSAGE-INTEGRITY is ignored, FINGERPRINT apart."""
        data = encode(stun.request(ID), KEY) + bytes.fromhex("0024000400000001 70000000")
        data = data[:2] + struct.pack("!H", len(data) - 20) + data[4:]
        message = decode(data)
        self.assertEqual(list(message.attributes), ["MESSAGE-INTEGRITY"])
        self.assertEqual(message.unknown_required, ())

    def test_unknown(self) -> None:
        """Unknown types below 0x8000 are listed, those above ignored."""
        self.assertEqual(decode(self.attribute(0x7000, b"")).unknown_required, (0x7000,))
        self.assertEqual(decode(self.attribute(0xC000, b"x")).unknown_required, ())
