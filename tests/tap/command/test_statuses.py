"""Tests of :mod:`p2pchat.tap.command.statuses`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import errors
from p2pchat.tap.command import statuses


class StatusTests(SynchronousTestCase):
    """Exit statuses."""

    def test_errors(self) -> None:
        """Each error of services has its own; any other is a failure."""
        for error, status in (
            (errors.NotGranted(), statuses.NOT_GRANTED),
            (errors.NoSuchContact(), statuses.NO_SUCH_CONTACT),
            (errors.PeerOffline(), statuses.OFFLINE),
            (errors.NoPath(), statuses.NO_PATH),
            (errors.LinkLost(), statuses.BROKEN),
            (errors.NoResidentNode(), statuses.NO_NODE),
            (errors.StorageFailed(), statuses.FAILED),
        ):
            self.assertEqual(statuses.status_of(error), status)
