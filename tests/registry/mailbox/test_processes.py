"""Registries as processes: one that is killed, one without room, two with one Redis."""

from __future__ import annotations

import http.client
import os
import tempfile
from functools import partial
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.wire.mailbox import envelope_name
from tests.cluster.deployment import START_LIMIT, await_that
from tests.registry.mailbox.client import MailClient
from tests.registry.process import running_registry
from tests.registry.store.redis_server import NO_REDIS, RedisServer

KEPT_FIRST = 20  # envelopes that are kept before the registry is killed


class KillTests(SynchronousTestCase):
    """Kill -9, with a file."""

    def test_killed(self) -> None:
        """What was answered as kept is there afterwards, whenever the registry was killed."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        options = ("--mailbox", "--mailbox-file", os.path.join(directory.name, "mail"))
        with running_registry(*options, "--deposit-rate=0") as registry:
            client = MailClient(registry.port)
            client.open()
            permit, kept = client.permit(), []
            for number in range(100):
                if number == KEPT_FIRST:
                    registry.process.kill()
                envelope = os.urandom(1500)
                try:
                    if client.leave(envelope, permit) == http.HTTPStatus.ACCEPTED:
                        kept.append(envelope)
                except (OSError, http.client.HTTPException):
                    break
            client.close()
        self.assertGreaterEqual(len(kept), KEPT_FIRST)
        with running_registry(*options) as registry:
            again = MailClient(registry.port, client.identity)
            self.assertGreaterEqual(again.register()["waiting"], len(kept))
            found = again.fetch_all()
            again.close()
        self.assertEqual(found[: len(kept)], kept)
        self.assertEqual(len(found), len(set(map(envelope_name, found))))


class TwoTests(SynchronousTestCase):
    """Two registries, one Redis."""

    def test_two(self) -> None:
        """What is left at one, by a permit of the other, is announced and fetched at the other."""
        if NO_REDIS:
            raise SkipTest(NO_REDIS)
        redis = RedisServer()
        self.addCleanup(redis.close)
        redis.start()
        options = ("--mailbox", "--store", redis.url)
        with running_registry(*options) as first, running_registry(*options) as second:
            owner = MailClient(first.port)
            depositor = MailClient(second.port, owner.identity, owner.token)
            owner.open()
            stream = owner.listen()
            envelope = os.urandom(5000)
            for one in (owner, depositor):
                await_that(partial(self.permits, one), START_LIMIT, "the key of permits")
            permit = owner.permit()
            self.assertEqual(depositor.leave(envelope, permit), http.HTTPStatus.ACCEPTED)
            while not stream.readline().startswith(b"event: mail"):
                pass
            self.assertIn(b'"waiting":1', stream.readline())
            self.assertEqual(owner.fetch_all(), [envelope])
            stream.close()
            for one in (owner, depositor):
                one.close()

    def permits(self, client: MailClient) -> bool:
        """Tell whether a registry knows the key that both share: it learns it within a second."""
        try:
            return bool(client.permit())
        except AssertionError:
            return False


class FullDiskTests(SynchronousTestCase):
    """A disk that is full."""

    def test_full(self) -> None:
        """Mail is refused with the reason, the rest goes on, and what is there can be fetched."""
        directory = Path(tempfile.mkdtemp())
        self.addCleanup(os.rmdir, directory)
        if os.geteuid() or os.system(f"mount -t tmpfs -o size=2m tmpfs {directory}"):
            raise SkipTest("needs root, to mount a small disk")
        self.addCleanup(os.system, f"umount {directory}")
        options = ("--mailbox", "--mailbox-file", str(directory / "mail"), "--deposit-rate=0")
        with running_registry(*options) as registry:
            clients, statuses = [], set()
            for _ in range(12):
                client = MailClient(registry.port)
                clients.append(client)
                try:
                    client.open()
                    permit = client.permit()
                    statuses |= {client.leave(os.urandom(60_000), permit) for _ in range(4)}
                except AssertionError:  # no room for its prekeys
                    statuses.add(http.HTTPStatus.SERVICE_UNAVAILABLE)
            self.assertEqual(
                statuses, {http.HTTPStatus.ACCEPTED, http.HTTPStatus.SERVICE_UNAVAILABLE}
            )
            self.assertEqual(registry.ask("/healthz")[0], http.HTTPStatus.OK)
            self.assertEqual(len(clients[0].fetch().envelopes), 4)
            for client in clients:
                client.close()
