"""
What every trial in the lab begins with: the conditions to run at all, and labs, registries and
peers that end with the test.
"""

from __future__ import annotations

import os

from twisted.trial import unittest

from tests.lab.peers import JsonPeer, Registry
from tests.lab.topology import Host, Lab, reason_to_skip

REPETITIONS = int(os.environ.get("P2PCHAT_LAB_REPEAT", "1"))


class LabTestCase(unittest.TestCase):
    """A trial that may build labs; blocking calls are fine here, nothing uses the reactor."""

    if reason_to_skip():
        skip = reason_to_skip()

    def build_lab(self, left: str, right: str = "open", hosts: int = 1) -> Lab:
        """Build a lab that is closed when the test ends."""
        lab = Lab()
        self.addCleanup(lab.close)
        return lab.build(left, right, hosts)

    def start_registry(self, lab: Lab) -> Registry:
        """Start `p2psignal` on the lab's server; it ends with the test."""
        registry = Registry(lab.server)
        self.addCleanup(registry.close)
        registry.start()
        return registry

    def start_peer(self, host: Host, username: str, server: str, *options: str) -> JsonPeer:
        """Start a peer that accepts every call; it ends with the test."""
        peer = JsonPeer.start(host, username, server, "--accept", "all", *options)
        self.addCleanup(peer.close)
        return peer
