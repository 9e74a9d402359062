"""The lab's name server: what it answers, message by message."""

from __future__ import annotations

import socket
import struct

from twisted.trial.unittest import SynchronousTestCase

from tests.lab.name_server import Zone, answer

A, AAAA, TXT = 1, 28, 16
ZONE: Zone = {"both.lab": ["192.0.2.1", "2001:db8::1"], "four.lab": ["192.0.2.1", "192.0.2.2"]}


def query(name: str, kind: int) -> bytes:
    """Return the message that asks for records of this type."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, 1)


class NameServerTests(SynchronousTestCase):
    """Questions and answers."""

    def ask(self, name: str, kind: int, prefix: str = "") -> tuple[int, list[str]]:
        """Return the response code, and the addresses in the answer."""
        asked = query(name, kind)
        found = answer(asked, ZONE, prefix)
        number, flags, questions, answers = struct.unpack_from("!4H", found)
        self.assertEqual((number, flags & 0x8000, questions), (7, 0x8000, 1))
        records, addresses = found[len(asked) :], []
        size, family = (16, socket.AF_INET6) if kind == AAAA else (4, socket.AF_INET)
        for at in range(0, answers * (12 + size), 12 + size):
            self.assertEqual(records[at : at + 4], b"\xc0\x0c" + kind.to_bytes(2, "big"))
            addresses.append(socket.inet_ntop(family, records[at + 12 : at + 12 + size]))
        return flags & 0xF, addresses

    def test_addresses(self) -> None:
        """A name has its addresses of the family asked for, whatever its letters' case."""
        self.assertEqual(self.ask("Four.LAB", A), (0, ["192.0.2.1", "192.0.2.2"]))
        self.assertEqual(self.ask("both.lab", AAAA), (0, ["2001:db8::1"]))

    def test_none(self) -> None:
        """Of another family or type there are none; an unknown name doesn't exist."""
        self.assertEqual(self.ask("four.lab", AAAA), (0, []))
        self.assertEqual(self.ask("four.lab", TXT), (0, []))
        self.assertEqual(self.ask("other.lab", A), (3, []))

    def test_dns64(self) -> None:
        """A DNS64 makes IPv6 addresses for names that have none, for no others."""
        made = ["64:ff9b::c000:201", "64:ff9b::c000:202"]
        self.assertEqual(self.ask("four.lab", AAAA, "64:ff9b::"), (0, made))
        self.assertEqual(self.ask("both.lab", AAAA, "64:ff9b::"), (0, ["2001:db8::1"]))
        self.assertEqual(self.ask("other.lab", AAAA, "64:ff9b::"), (3, []))
