"""The fake node of these tests is a node."""

from __future__ import annotations

from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.interfaces import IIndications, IInvitations, INode, INodeServices, ITransfers
from tests.ui.fake_node import FakeIndications, FakeInvitations, FakeNode
from tests.ui.fake_services import FakeServices
from tests.ui.fake_transfers import FakeTransfers


class FakeNodeTests(SynchronousTestCase):
    """What the interfaces are tested with has the shape of the real thing."""

    def test_interface(self) -> None:
        """It provides INode, and a ListenerQueue to each who listens."""
        node = FakeNode()
        self.assertTrue(verifyObject(INode, node))
        self.assertTrue(verifyObject(IIndications, FakeIndications([])))
        self.assertTrue(verifyObject(ITransfers, FakeTransfers([])))
        self.assertTrue(verifyObject(IInvitations, FakeInvitations()))
        self.assertTrue(verifyObject(INodeServices, FakeServices([], {})))
        self.assertTrue(verifyObject(IPushProducer, node.listen(lambda _event: None)))
