"""
Whole peers converse over a registry of two processes, of which one is killed; then Redis is.

What depends on the balancer is tried with HAProxy and with nginx, the rest with HAProxy.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from unittest import SkipTest
from urllib.error import HTTPError
from urllib.request import urlopen

from twisted.trial.unittest import TestCase

from p2pchat.identity.signed_documents import sign_document
from p2pchat.peer.registry_connection import LONGEST_WAIT
from p2pchat.registry.store.redis import INSTANCE_LEASE
from p2pchat.wire.documents import Registration
from tests.cluster.balancers import HAPROXY, NGINX, Balancer
from tests.cluster.deployment import (
    LEASE,
    Deployment,
    Here,
    Instance,
    Page,
    await_that,
    fetch,
    reason_to_skip,
)
from tests.lab.conversation import connect, exchange, hear, say
from tests.lab.peers import JsonPeer
from tests.registry.web import identity

MOVE_LIMIT = 20.0  # seconds; for a peer to be online at another registry, which takes one
NGINX_PATIENCE = 3.0  # seconds; its proxy_read_timeout for requests
RENEWAL = LEASE / 3 + MOVE_LIMIT  # seconds; for every record to be there again
NEWCOMERS = ("carol", "dave", "erin", "frank")


class Conversing(TestCase):
    """Each trial begins with Alice and Bob conversing; blocking calls are fine here."""

    timeout = 120
    balancer: Balancer

    def setUp(self) -> None:
        if reason := reason_to_skip(self.balancer):
            raise SkipTest(reason)
        self.cluster = Deployment(self.balancer)
        self.addCleanup(self.cluster.close)
        self.cluster.start()
        self.alice, self.bob = self.person("alice"), self.person("bob")
        self.await_online({"alice", "bob"}, MOVE_LIMIT)
        connect(self.alice, self.bob)
        exchange(self.alice, self.bob, "at first", 1)

    def person(self, name: str) -> JsonPeer:
        """Start a peer that accepts every call."""
        peer = JsonPeer.start(Here(), name, self.cluster.url, "--accept", "all")
        self.addCleanup(peer.close)
        peer.wait_for("registered")
        return peer

    def await_online(self, names: set[str], limit: float) -> float:
        """Wait until these are online, at least; returns the seconds."""
        return await_that(lambda: names <= self.cluster.online(), limit, f"{names} online")

    def call(self, caller: JsonPeer, callee: JsonPeer) -> None:
        """Call somebody who is talking to another, and be heard."""
        connect(caller, callee)
        say(caller, ["hello"])
        hear(caller, callee, ["hello"])

    def register(self, name: str, seed: int) -> Page:
        """Register this name from 127.0.0.2, which says that it is 8.8.8.8."""
        connection = HTTPConnection("127.0.0.1", self.cluster.port, 10, ("127.0.0.2", 0))
        body = Registration(name)
        token = sign_document(identity(seed), self.cluster.url, body, time.time(), "nonce")
        headers = {"Content-Type": "application/jose", "X-Forwarded-For": "8.8.8.8"}
        with closing(connection):
            connection.request("POST", "/register", token, headers)
            answer = connection.getresponse()
            return Page(answer.status, json.load(answer))


class BalancedTests(Conversing):
    """What depends on the balancer, with HAProxy."""

    balancer = HAPROXY

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
            self.cluster.restart(instance)
        self.assertEqual(self.cluster.registered(), everybody)

    def test_streams_are_spread(self) -> None:
        """
        Peers hang on both registries, and a call goes from one to the other.

        A balancer that took its time to see both may have sent the first two to the same.
        """
        for name in NEWCOMERS:
            if self.fewest() > 0:
                break
            self.call(self.person(name), self.alice)
        self.assertGreater(self.fewest(), 0)

    def fewest(self) -> int:
        """Return how many streams hang on the registry that has fewer."""
        return min(one.streams() for one in self.cluster.instances)

    def test_true_addresses(self) -> None:
        """The registry knows the client behind the balancer, whatever the client says it is."""
        self.assertEqual(self.register("dave", 1).json["your_ip"], "127.0.0.2")

    def busiest(self) -> Instance:
        """Return the registry that has the most streams."""
        return max(self.cluster.instances, key=Instance.streams)

    def test_registry_stopped(self) -> None:
        """A registry that is stopped sends its peers to the other one."""
        instance = self.busiest()
        instance.terminate()
        self.await_online({"alice", "bob"}, MOVE_LIMIT)
        exchange(self.alice, self.bob, "after", 1)

    def test_all_registries_killed(self) -> None:
        """While none is there the answer is 503, which costs no stream; then all comes back."""
        for instance in self.cluster.instances:
            instance.kill()
        for _ in range(3):
            with self.assertRaises(HTTPError) as caught:
                urlopen(f"{self.cluster.url}/peers", timeout=10)
            self.assertEqual(caught.exception.code, 503)
        for instance in self.cluster.instances:
            instance.start()
        self.await_online({"alice", "bob"}, LONGEST_WAIT * 1.5 + MOVE_LIMIT)


class NginxTests(BalancedTests):
    """The same with nginx, and what it does beyond that."""

    balancer = NGINX

    def pause_idlest(self) -> Instance:
        """Stop the registry with the fewest streams, where nginx sends the next request."""
        found = min(self.cluster.instances, key=Instance.streams)
        found.pause()
        return found

    def test_registry_dies_with_requests(self) -> None:
        """What a registry was sent and didn't answer before it died is done by the other one."""
        dying = self.pause_idlest()
        with ThreadPoolExecutor() as pool:
            asked = [pool.submit(self.register, f"dave{number}", number) for number in (1, 2, 3)]
            stuck = wait(asked, 1.0).not_done
            dying.kill()
            statuses = [one.result().status for one in asked]
        self.assertTrue(stuck)
        self.assertEqual(statuses, [200, 200, 200])

    def test_registry_silent(self) -> None:
        """What a registry doesn't answer in time is done by the other one."""
        silent, began = self.pause_idlest(), time.monotonic()
        with ThreadPoolExecutor() as pool:
            pages = list(pool.map(self.register, ("dave1", "dave2", "dave3"), (1, 2, 3)))
        self.assertGreater(time.monotonic() - began, NGINX_PATIENCE)
        self.assertEqual([page.status for page in pages], [200, 200, 200])
        silent.resume()
        self.await_online({"alice", "bob"}, MOVE_LIMIT)


class StoreTests(Conversing):
    """What depends on Redis."""

    balancer = HAPROXY

    def told_of_loss(self) -> int:
        """Return how often Alice and Bob were told that the registry is away."""
        return sum(len(one.named("registry_lost")) for one in (self.alice, self.bob))

    def test_registry_and_peer_die(self) -> None:
        """A peer that died with its registry isn't shown as online for long."""
        self.bob.pause()
        for instance in self.cluster.instances:
            instance.kill()
            self.cluster.restart(instance)
        limit = INSTANCE_LEASE + MOVE_LIMIT
        await_that(lambda: "bob" not in self.cluster.online(), limit, "bob offline")

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
        await_that(lambda: not self.cluster.works(), MOVE_LIMIT, "the refusal")
        await_that(self.status_is_null, MOVE_LIMIT, "the notice")
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
        await_that(self.file_is_written, MOVE_LIMIT, "what Redis wrote")
        self.cluster.redis.kill()
        self.cluster.redis.start()
        self.await_online({"alice", "bob"}, MOVE_LIMIT)

    def file_is_written(self) -> bool:
        """Tell whether Redis has written the records down; it does so every second."""
        files = Path(self.cluster.redis.directory).rglob("*.incr.aof")
        return any(b"p2pchat:record:" in file.read_bytes() for file in files)
