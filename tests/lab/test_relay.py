"""
The lab's relay: coturn's own client reaches it over each transport, from both sides.
"""

from __future__ import annotations

import re

from tests.lab.case import LabTestCase
from tests.lab.machines import Host
from tests.lab.relay import TLS_PORT, TURN_PORT, Relay

CLIENT = "turnutils_uclient"
CLIENT_LIMIT = 30.0  # seconds
FIRST_ANSWER = 8  # seconds; for the client, which never gives up on a silent server
MESSAGES = 5

#: By transport: the client's options for it, and the port.
TRANSPORTS = {"udp": ([], TURN_PORT), "tcp": (["-t"], TURN_PORT), "tls": (["-t", "-S"], TLS_PORT)}


def round_trips(host: Host, relay: Relay, transport: str, password: str = "") -> int | None:
    """
    Return how many messages a client's two allocations pass to each other through the relay.

    None where the client gives up, or is still trying when it is stopped.
    """
    options, port = TRANSPORTS[transport]
    username, right_password = relay.credentials()
    messages = ["-y", "-c", "-n", str(MESSAGES), "-m", "1"]
    login = ["-u", username, "-w", password or right_password]
    argv = [CLIENT, *options, *messages, *login, "-p", str(port), relay.host.address]
    said = host.run(["timeout", str(FIRST_ANSWER), *argv], CLIENT_LIMIT)
    counts = re.findall(r"tot_recv_msgs=(\d+)", said)
    return int(counts[-1]) if counts else None


class RelayTests(LabTestCase):
    """A relay on the server, a host that has UDP on the left and one that has not on the right."""

    def setUp(self) -> None:
        """Build that."""
        self.require(CLIENT)
        self.lab = self.build_lab("symmetric", "udp-blocked")
        self.relay = self.start_relay(self.lab)

    def test_with_udp(self) -> None:
        """Every transport works."""
        for transport in TRANSPORTS:
            self.assertTrue(round_trips(self.lab.left, self.relay, transport), transport)

    def test_without_udp(self) -> None:
        """TCP and TLS work, UDP gets no answer."""
        self.assertIsNone(round_trips(self.lab.right, self.relay, "udp"))
        for transport in ("tcp", "tls"):
            self.assertTrue(round_trips(self.lab.right, self.relay, transport), transport)

    def test_wrong_password(self) -> None:
        """Who does not know the secret gets nothing."""
        self.assertIsNone(round_trips(self.lab.left, self.relay, "udp", "wrong"))

    def test_restart(self) -> None:
        """After a kill it starts again on the same ports."""
        self.relay.kill()
        self.relay.start()
        self.assertTrue(round_trips(self.lab.left, self.relay, "udp"))
