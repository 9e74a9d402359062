"""Names of services."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.service_names import MAX_SERVICE, check_service


class ServiceNameTests(SynchronousTestCase):
    """What can be a name."""

    def test_lawful(self) -> None:
        """Names that are a part of an endpoint string, and of a host name, as they stand."""
        for name in ("web", "3d", "my-app_2.v1", "p2pchat.files", "x" * MAX_SERVICE):
            self.assertEqual(check_service(name), name)

    def test_refused(self) -> None:
        """Nothing that could be a path, an address, another name by its looks, or too much."""
        for name in (
            *("", "Web", "-x", ".x", "_x", "a b", "a:80", "a/b", "../x", "wéb", "web\n", "w\x00"),
            *("x" * (MAX_SERVICE + 1), "\u1d21eb", "web\u202e"),
        ):
            self.assertRaises(RemoteProtocolError, check_service, name)
