"""The command line of ``p2psignal``, and the services that it makes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from twisted.application.service import IServiceMaker, Service
from twisted.plugin import getPlugins
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError
from p2pchat.signaling.stun_service import StunService
from p2pchat.signaling.web_service import WebService
from p2pchat.tap.signal import Options, RegistryServices, makeService


def parsed(*words: str) -> Options:
    """Parse a command line."""
    options = Options()
    options.parseOptions(words)
    return options


class OptionsTests(SynchronousTestCase):
    """What may be asked for."""

    def test_defaults(self) -> None:
        """Without options there is HTTP on 8000, STUN on 3478, and a lease of a minute."""
        options = parsed()
        chosen = [options[name] for name in ("listen", "stun", "lease", "address", "public-url")]
        self.assertEqual(chosen, ["tcp:8000", 3478, 60, "", None])

    def test_values(self) -> None:
        """Values come out in their canonical forms."""
        options = parsed(
            "--public-url=HTTPS://P2P.example/", "--address=2001:DB8::0", "--second-address=::2"
        )
        self.assertEqual(options["public-url"], "https://p2p.example:443")
        self.assertEqual((options["address"], options["second-address"]), ("2001:db8::", "::2"))

    def test_bad_values(self) -> None:
        """A value that can't be used is named, with what can."""
        for words, expected in (
            (["--listen=nonsense"], "--listen: 'nonsense' is no endpoint"),
            (["--listen=tcp:x"], "try tcp:8000"),
            (["--listen="], "--listen: ''"),
            (["--stun=x"], "--stun: 'x' is not a number"),
            (["--stun=65535"], "--stun must be from 0 to 65534"),
            (["--stun=-1"], "--stun: '-1' is not a number"),
            (["--lease=1"], "--lease must be from 5 to 86400"),
            (["--address=localhost"], "--address: 'localhost' is not an IP address"),
            (["--second-address=192.0.2.1"], "--second-address needs --address"),
            (["--address=192.0.2.1", "--second-address=192.0.2.1"], "must be two addresses"),
            (["--address=192.0.2.1", "--second-address=::1"], "of one family"),
            (["--address=::1", "--second-address=::2", "--stun=0"], "needs --address and --stun"),
            (["--public-url=p2p.example"], "--public-url: 'p2p.example' must begin with http"),
        ):
            with self.subTest(words=words):
                error = self.assertRaises(UsageError, parsed, *words)
                self.assertIn(expected, str(error))


class BusyService(Service):
    """A service whose port is in use."""

    def privilegedStartService(self) -> None:
        """Fail, as a busy port does."""
        raise ConfigurationError("TCP port 8000 is in use")


class ServiceTests(SynchronousTestCase):
    """What is started."""

    def test_services(self) -> None:
        """There is an HTTP service and a STUN service; without STUN, HTTP alone."""
        kinds = [type(service) for service in makeService(parsed())]
        self.assertEqual(kinds, [StunService, WebService])
        kinds = [type(service) for service in makeService(parsed("--stun=0"))]
        self.assertEqual(kinds, [WebService])

    def test_addresses(self) -> None:
        """STUN is bound to the addresses given."""
        words = ("--address=192.0.2.1", "--second-address=192.0.2.2", "--stun=5000")
        stun = next(s for s in makeService(parsed(*words)) if isinstance(s, StunService))
        bound = [stun.server.transport_address(origin) for origin in stun.server.origins()]
        expected = [("192.0.2.1", 5000), ("192.0.2.1", 5001)]
        self.assertEqual(bound, [*expected, ("192.0.2.2", 5000), ("192.0.2.2", 5001)])

    def test_port_in_use(self) -> None:
        """A port in use ends the program with status 1 and no traceback."""
        services = RegistryServices()
        BusyService().setServiceParent(services)
        ending = self.assertRaises(SystemExit, services.privilegedStartService)
        self.assertEqual(ending.code, 1)
        self.assertEqual(self.flushLoggedErrors(), [])


class PluginTests(SynchronousTestCase):
    """What ``twistd`` finds."""

    def test_found(self) -> None:
        """The two programs are there under their names, with what they are made of."""
        makers: dict[str, Any] = {maker.tapname: maker for maker in getPlugins(IServiceMaker)}
        self.assertIs(makers["p2psignal"].options, Options)
        self.assertEqual(makers["p2ppeer"].module, "p2pchat.tap.peer")

    def test_light(self) -> None:
        """Neither the plugin file nor the options load Klein or a reactor."""
        program = (
            "import sys, twisted.plugins.p2pchat_plugins, p2pchat.tap.signal as t;"
            "t.Options().parseOptions([]);"
            "print([m for m in ('klein', 'twisted.internet.reactor') if m in sys.modules])"
        )
        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        self.assertEqual(run.stdout.strip(), "[]")
