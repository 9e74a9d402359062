"""Starting and stopping the HTTP port."""

from __future__ import annotations

import errno
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IProtocolFactory, IStreamServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from p2pchat.errors import ConfigurationError
from p2pchat.signaling.web_service import FLUSH, WebService
from p2pchat.wire.documents import Subscription
from tests.signaling.web import Web, identity


@implementer(IStreamServerEndpoint)
@attrs.define
class RefusingEndpoint:
    """An endpoint whose port can't be had."""

    number: int

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """Fail, as a busy port does."""
        return fail(CannotListenError("192.0.2.1", 8000, OSError(self.number, "no")))


class WebServiceTests(SynchronousTestCase):
    """The life of the port."""

    def setUp(self) -> None:
        self.web = Web()
        self.web.registry.stop()
        self.reactor = MemoryReactorClock()

    def service(self, endpoint: IStreamServerEndpoint) -> WebService:
        return WebService(self.web.registry, self.web.site, endpoint)

    def test_serves(self) -> None:
        """The site is served where the endpoint says, and leases end while it runs."""
        service = self.service(TCP4ServerEndpoint(self.reactor, 8000))
        service.privilegedStartService()
        service.startService()
        self.assertEqual(
            [server[:2] for server in self.reactor.tcpServers], [(8000, self.web.site)]
        )
        self.web.register(identity(1))
        self.web.pass_time(61)
        self.assertEqual(self.web.registered, 0)

    def test_stops(self) -> None:
        """Streams say bye, and the last events have a moment to leave."""
        service = self.service(TCP4ServerEndpoint(self.reactor, 8000))
        service.privilegedStartService()
        service.startService()
        self.web.register(identity(1))
        stream = self.web.subscribe(identity(1), self.web.signed(identity(1), Subscription()))
        stopping = service.stopService()
        self.assertIn(b"event: bye", stream.wire.value())
        self.assertNoResult(stopping)
        self.web.clock.advance(FLUSH)
        self.successResultOf(stopping)
        self.web.pass_time(61)
        self.assertEqual(self.web.registered, 1)  # the sweeping has ended

    def test_never_started(self) -> None:
        """Stopping what never listened is no error."""
        stopping = self.service(TCP4ServerEndpoint(self.reactor, 8000)).stopService()
        self.web.clock.advance(FLUSH)
        self.successResultOf(stopping)

    def test_refused(self) -> None:
        """A port that can't be had is an error of one line: which, why, and what to do."""
        self.assertTrue(verifyObject(IStreamServerEndpoint, RefusingEndpoint(1)))
        for number, words in (
            (errno.EADDRINUSE, "TCP port 8000 on 192.0.2.1 is in use: stop the program"),
            (errno.EACCES, "choose one from 1024 on with --listen"),
            (errno.EADDRNOTAVAIL, "this machine has no address 192.0.2.1"),
            (errno.EIO, "can't be had: [Errno 5] no"),
        ):
            service = self.service(RefusingEndpoint(number))
            error = self.assertRaises(ConfigurationError, service.privilegedStartService)
            self.assertIn(words, str(error))
