"""What every store of secrets promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from p2pchat.interfaces import ISecretStore

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as _TestCase
else:
    _TestCase = object


class SecretsContract(_TestCase):
    """The promises, to be mixed into a test case that has the store."""

    def secrets(self) -> ISecretStore:
        """Return the store, or what another run of the program makes of it."""
        raise NotImplementedError

    def all(self, kind: str) -> dict[str, bytes]:
        """Return all of a kind."""
        found: Deferred[Any] = self.secrets().all(kind)
        return dict(self.successResultOf(found))

    def test_kept(self) -> None:
        """What was put is there under its kind and name; put again it is replaced."""
        verifyObject(ISecretStore, self.secrets())
        self.assertEqual(self.all("token"), {})
        for kind, name, value in (
            ("token", "a", b"first"),
            ("token", "b", b""),
            ("prekey", "a", bytes(32)),
            ("token", "a", b"again"),
        ):
            self.assertIsNone(self.successResultOf(self.secrets().put(kind, name, value)))
        self.assertEqual(self.all("token"), {"a": b"again", "b": b""})
        self.assertEqual(self.all("prekey"), {"a": bytes(32)})

    def test_deleted(self) -> None:
        """What was deleted is gone, alone of its kind; what isn't there can be deleted too."""
        for kind, name in (("token", "a"), ("token", "b"), ("prekey", "a")):
            self.successResultOf(self.secrets().put(kind, name, b"value"))
        for names in (["a", "unknown"], []):
            self.assertIsNone(self.successResultOf(self.secrets().delete("token", names)))
        self.assertEqual(
            (self.all("token"), self.all("prekey")), ({"b": b"value"}, {"a": b"value"})
        )

    def test_not_shown(self) -> None:
        """What is kept is in no log line that shows the store."""
        secrets = self.secrets()
        self.successResultOf(secrets.put("token", "a", b"not for logs"))
        self.assertNotIn("not for logs", repr(secrets))
