"""Whole peers converse over a registry of two processes, of which one is killed; then Redis is."""

from __future__ import annotations

import json
import time
from http.client import HTTPConnection
from pathlib import Path

from twisted.trial.unittest import TestCase

from p2pchat.identity.documents import sign_document
from p2pchat.signaling.redis_store import INSTANCE_LEASE
from p2pchat.wire.documents import Registration
from tests.cluster.deployment import (
    LEASE,
    Deployment,
    Here,
    Instance,
    await_that,
    fetch,
    reason_to_skip,
)
from tests.lab.conversation import connect, exchange, hear, say
from tests.lab.peers import JsonPeer
from tests.signaling.web import identity

MOVE_LIMIT = 5.0  # seconds; for a peer to be online again at another registry
RENEWAL = LEASE / 3 + 5.0  # seconds; for every record to be there again


class ClusterTests(TestCase):
    """Each begins with Alice and Bob conversing; blocking calls are fine here."""

    timeout = 120
    if reason_to_skip():
        skip = reason_to_skip()

    def setUp(self) -> None:
        self.cluster = Deployment()
        self.addCleanup(self.cluster.close)
        self.cluster.start()
        self.alice, self.bob = self.person("alice"), self.person("bob")
        self.await_online({"alice", "bob"}, 10.0)
        connect(self.alice, self.bob)
        exchange(self.alice, self.bob, "at first", 1)

    def person(self, name: str) -> JsonPeer:
        """Start a peer that accepts every call."""
        peer = JsonPeer.start(Here(), name, self.cluster.url, "--accept", "all")
        self.addCleanup(peer.close)
        peer.wait_for("registered", 30.0)
        return peer

    def await_online(self, names: set[str], limit: float) -> float:
        """Wait until these are online, at least; returns the seconds."""
        return await_that(lambda: names <= self.cluster.online(), limit, f"{names} online")

    def call(self, caller: JsonPeer, callee: JsonPeer) -> None:
        """Call somebody who is talking to another, and be heard."""
        connect(caller, callee)
        say(caller, ["hello"])
        hear(caller, callee, ["hello"])

    def busiest(self) -> Instance:
        """Return the registry that has the most streams."""
        return max(self.cluster.instances, key=Instance.streams)

    def told_of_loss(self) -> int:
        """Return how often Alice and Bob were told that the registry is away."""
        return sum(len(one.named("registry_lost")) for one in (self.alice, self.bob))

    def test_registry_killed(self) -> None:
        """Either may be killed: nobody's record is lost, all are online again, calls go through."""
        carol = self.person("carol")
        everybody = {"alice", "bob", "carol"}
        for number, instance in enumerate(self.cluster.instances):
            self.await_online(everybody, MOVE_LIMIT)
            instance.kill()
            self.assertEqual(self.cluster.registered(), everybody)
            self.call(carol, self.alice)
            exchange(self.alice, self.bob, f"after {number}", 1)
            self.await_online(everybody, MOVE_LIMIT)
            carol.send("/disconnect alice")
            self.alice.wait_for("disconnected", name="carol")
            instance.start()
        self.assertEqual(self.cluster.registered(), everybody)

    def test_streams_are_spread(self) -> None:
        """Peers hang on both registries, and a call goes from one to the other."""
        self.assertEqual([one.streams() for one in self.cluster.instances], [1, 1])

    def test_true_addresses(self) -> None:
        """The registry knows the client behind the balancer, whatever the client says it is."""
        connection = HTTPConnection("127.0.0.1", self.cluster.port, 5, ("127.0.0.2", 0))
        body = Registration("dave")
        token = sign_document(identity(1), self.cluster.url, body, time.time(), "nonce")
        headers = {"Content-Type": "application/jose", "X-Forwarded-For": "8.8.8.8"}
        connection.request("POST", "/register", token, headers)
        self.assertEqual(json.load(connection.getresponse())["your_ip"], "127.0.0.2")
        connection.close()

    def test_registry_and_peer_die(self) -> None:
        """A peer that died with its registry isn't shown as online for long."""
        self.bob.pause()
        for instance in self.cluster.instances:
            instance.kill()
            instance.start()
        limit = INSTANCE_LEASE + 2.0
        await_that(lambda: "bob" not in self.cluster.online(), limit, "bob offline")

    def test_registry_stopped(self) -> None:
        """A registry that is stopped sends its peers to the other one."""
        instance = self.busiest()
        instance.terminate()
        self.await_online({"alice", "bob"}, MOVE_LIMIT)
        exchange(self.alice, self.bob, "after", 1)

    def test_redis_restarts(self) -> None:
        """Redis dies and forgets all: conversations and streams go on, and all comes back."""
        self.cluster.redis.kill()
        page = fetch(f"{self.cluster.url}/peers")
        assert page is not None
        self.assertEqual((page.status, page.json["type"]), (503, "/problems/store-unavailable"))
        self.assertTrue(self.status_is_null())
        exchange(self.alice, self.bob, "meanwhile", 1)
        self.cluster.redis.forget()
        self.cluster.redis.start()
        self.await_online({"alice", "bob"}, RENEWAL)
        self.assertEqual(self.told_of_loss(), 0)
        self.assertEqual(sum(one.streams() for one in self.cluster.instances), 2)
        carol = self.person("carol")
        self.call(carol, self.bob)

    def test_redis_silent(self) -> None:
        """Redis stops answering for a while: no stream ends, and it is as before."""
        self.cluster.redis.pause()
        await_that(lambda: not self.cluster.works(), 10.0, "the refusal")
        await_that(self.status_is_null, 10.0, "the notice")
        time.sleep(3.0)  # in which the balancer asks three times whether the registries live
        self.cluster.redis.resume()
        self.await_online({"alice", "bob"}, MOVE_LIMIT)
        self.assertEqual(self.told_of_loss(), 0)

    def status_is_null(self) -> bool:
        """Tell whether the registries say that they can't count."""
        page = fetch(f"{self.cluster.url}/status")
        return page is not None and page.json["peers_registered"] is None

    def test_redis_remembers(self) -> None:
        """With its file a Redis that was killed has every record as soon as it is back."""
        await_that(self.file_is_written, 5.0, "what Redis wrote")
        self.cluster.redis.kill()
        self.cluster.redis.start()
        self.await_online({"alice", "bob"}, MOVE_LIMIT)

    def file_is_written(self) -> bool:
        """Tell whether Redis has written the records down; it does so every second."""
        files = Path(self.cluster.redis.directory).rglob("*.incr.aof")
        return any(b"p2pchat:record:" in file.read_bytes() for file in files)
