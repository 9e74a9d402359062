"""Uploads: as many as there may be, from one source, to one mailbox, and in all."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.mailbox.uploads import (
    MAX_OF_MAILBOX,
    MAX_OF_SOURCE,
    MAX_UPLOADS,
    Upload,
    Uploads,
)


class UploadsTests(SynchronousTestCase):
    """A table of them."""

    def setUp(self) -> None:
        self.uploads = Uploads()

    def begin(self, peer: str, source: str) -> bool:
        """Begin one."""
        return self.uploads.begin(Upload(peer, b"", source))

    def test_limits(self) -> None:
        """Beyond each limit there is no room."""
        for number in range(MAX_OF_MAILBOX):
            self.assertTrue(self.begin("alice", f"{number}"))
        self.assertFalse(self.begin("alice", "another"))
        for number in range(MAX_OF_SOURCE):
            self.assertTrue(self.begin(f"{number}", "office"))
        self.assertFalse(self.begin("another", "office"))
        for number in range(MAX_UPLOADS - MAX_OF_MAILBOX - MAX_OF_SOURCE):
            self.assertTrue(self.begin(f"peer {number}", f"source {number}"))
        self.assertFalse(self.begin("last", "last"))
        self.assertEqual(len(self.uploads), MAX_UPLOADS)

    def test_end(self) -> None:
        """One that ends makes room, once."""
        upload = Upload("alice", b"", "office")
        for _ in range(2 * MAX_OF_SOURCE):
            self.assertTrue(self.uploads.begin(upload))
            self.uploads.end(upload)
            self.uploads.end(upload)
        self.assertEqual(self.uploads, Uploads())
