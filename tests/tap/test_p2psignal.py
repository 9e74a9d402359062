"""The command line of ``p2psignal``, and the services that it makes."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.application.service import IServiceMaker, Service
from twisted.plugin import getPlugins
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError
from p2pchat.registry.admission.load import STRANGERS
from p2pchat.registry.admission.rates import Limits, Rate, Rates
from p2pchat.registry.event_streams import STREAMS
from p2pchat.registry.http.connections import CONNECTIONS
from p2pchat.registry.http.web_service import WebService
from p2pchat.registry.registry import Settings
from p2pchat.registry.store.memory import MemoryStore
from p2pchat.registry.store.redis import RedisStore
from p2pchat.registry.stun.service import StunService
from p2pchat.tap.p2psignal import Options, makeService
from p2pchat.tap.p2psignal_services import RegistryServices
from p2pchat.tap.process import allow_open_files


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
        self.assertEqual(chosen, ["tcp:8000", 3478, 60, "", ()])

    def test_values(self) -> None:
        """Values come out in their canonical forms."""
        options = parsed(
            "--public-url=HTTPS://P2P.example/",
            "-u",
            "http://p2p.test",
            "--address=2001:DB8::0",
            "--second-address=::2",
        )
        public = ("https://p2p.example:443", "http://p2p.test:80")
        self.assertEqual(options["public-url"], public)
        self.assertEqual((options["address"], options["second-address"]), ("2001:db8::", "::2"))

    def test_bad_values(self) -> None:
        """A value that can't be used is named, with what can."""
        for words, expected in (
            (["--listen=nonsense"], "--listen: 'nonsense' is no endpoint"),
            (["--listen=tcp:x"], "try tcp:8000"),
            (["--listen="], "--listen: ''"),
            (["--stun=x"], "--stun: 'x' is no whole number"),
            (["--stun=65535"], "--stun must be from 0 to 65534"),
            (["--stun=-1"], "--stun must be from 0 to 65534"),
            (["--lease=1"], "--lease must be from 5 to 86400"),
            (["--address=localhost"], "--address: 'localhost' is not an IP address"),
            (["--second-address=192.0.2.1"], "--second-address needs --address"),
            (["--address=192.0.2.1", "--second-address=192.0.2.1"], "must be two addresses"),
            (["--address=192.0.2.1", "--second-address=::1"], "of one family"),
            (["--address=::1", "--second-address=::2", "--stun=0"], "needs --address and --stun"),
            (["--rate=50"], "--rate: '50' is no RATE/BURST such as 50/200, nor 0"),
            (["--stun-rate=0/0"], "--stun-rate: '0/0' is no RATE/BURST"),
            (["--work-from=x"], "--work-from: 'x' is no whole number"),
            (["--work-secret-file=/nowhere"], "--work-secret-file: '/nowhere': No such file"),
            (["--public-url=p2p.example"], "--public-url: 'p2p.example' must begin with http"),
        ):
            with self.subTest(words=words):
                error = self.assertRaises(UsageError, parsed, *words)
                self.assertIn(expected, str(error))


class LimitOptionsTests(SynchronousTestCase):
    """How many connections and event streams there may be."""

    def limits(self, *words: str) -> tuple[Limits, Limits]:
        """Return what reaches the registry: of connections, and of streams."""
        services = makeService(parsed(*words))
        found = next(one for one in services if isinstance(one, WebService))
        return found.site.connections.limits, found.registry.settings.streams

    def test_defaults(self) -> None:
        """Without options the registry has its own limits, as far as files may be open."""
        connections, streams = self.limits()
        self.assertLessEqual(connections.total, CONNECTIONS.total)
        self.assertEqual(connections.per_source, CONNECTIONS.per_source)
        self.assertEqual(streams, STREAMS)

    def test_values(self) -> None:
        """Each limit is the operator's."""
        limits = self.limits(
            "--max-connections=10",
            "--max-connections-per-address=4",
            "--max-streams=5",
            "--max-streams-per-address=3",
        )
        self.assertEqual(limits, (Limits(10, 4), Limits(5, 3)))

    def test_bad_values(self) -> None:
        """None isn't a limit."""
        error = self.assertRaises(UsageError, parsed, "--max-streams=0")
        self.assertIn("--max-streams must be from 1 to", str(error))

    def test_open_files(self) -> None:
        """There are never more connections than files may be open."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.assertEqual(allow_open_files(soft), soft)
        most = allow_open_files(10**9)
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE)[0], most)
        self.assertLess(self.limits("--max-connections=1000000")[0].total, most)


class StoreOptionsTests(SynchronousTestCase):
    """Where records are kept, and whom to believe about clients."""

    def test_none(self) -> None:
        """By default they are in memory, and no proxy is believed."""
        options = parsed()
        self.assertIsNone(options["store"])
        self.assertEqual(options["trusted-proxy"].networks, ())
        self.assertIsInstance(self.service(options).registry.store, MemoryStore)

    def service(self, options: Options) -> WebService:
        """Return the service of the registry made from options."""
        return next(one for one in makeService(options) if isinstance(one, WebService))

    def test_values(self) -> None:
        """A store and its password, a proxy's network; they reach the registry."""
        path = Path(self.mktemp())
        path.write_bytes(b"north-south\n")
        options = parsed(
            "--store=redis://store.example/3",
            f"--store-password-file={path}",
            "--trusted-proxy=192.0.2.0/24",
        )
        self.assertEqual(str(options["store"]), "redis://store.example:6379/3")
        self.assertEqual(options["store"].password, "north-south")
        service = self.service(options)
        self.assertIsInstance(service.registry.store, RedisStore)
        self.assertIn("192.0.2.7", service.site.access.proxies)

    def test_bad_values(self) -> None:
        """What can't be used is said, with its option."""
        path = Path(self.mktemp())
        path.write_bytes(b"\xff")
        for words, expected in (
            (["--stun-host=a b"], "--stun-host: "),
            (["--store=localhost:6379"], "--store: no URL such as redis://"),
            (["--store-password-file=x"], "--store-password-file needs --store"),
            (["--store=redis://h", "--store-password-file=/nowhere/x"], "No such file"),
            (["--store=redis://h", f"--store-password-file={path}"], "must be UTF-8"),
            (["--trusted-proxy=proxy.example"], "--trusted-proxy: 'proxy.example'"),
        ):
            with self.subTest(words=words):
                error = self.assertRaises(UsageError, parsed, *words)
                self.assertIn(expected, str(error))


class MailboxOptionsTests(SynchronousTestCase):
    """Whether mail is kept, where, and how much."""

    def test_none(self) -> None:
        """Without the option nothing is kept."""
        self.assertFalse(parsed()["mailbox"])

    def test_values(self) -> None:
        """In memory, in a file, or in the store; each has its usual size."""
        self.assertEqual(parsed("--mailbox")["mailbox-size"], 64)
        in_file = parsed("--mailbox", "--mailbox-file", "mail")
        self.assertEqual((in_file["mailbox-file"], in_file["mailbox-size"]), ("mail", 1024))
        chosen = parsed("--mailbox", "--mailbox-size", "5", "--store", "redis://localhost")
        self.assertEqual(chosen["mailbox-size"], 5)

    def test_bad_values(self) -> None:
        """What makes no sense is said."""
        for words in (
            ("--mailbox-file", "mail"),
            ("--mailbox-size", "5"),
            ("--mailbox", "--mailbox-size", "0"),
            ("--mailbox", "--mailbox-size", "much"),
            ("--mailbox", "--mailbox-file", "mail", "--store", "redis://localhost"),
        ):
            error = self.assertRaises(UsageError, parsed, *words)
            self.assertIn("--mailbox", str(error))


class DefenceOptionsTests(SynchronousTestCase):
    """What an operator may set of the registry's defences."""

    def services(self, *words: str) -> tuple[Settings, StunService]:
        """Return what the services are given."""
        made = list(makeService(parsed(*words)))
        web = next(one for one in made if isinstance(one, WebService))
        return web.registry.settings, next(one for one in made if isinstance(one, StunService))

    def test_defaults(self) -> None:
        """All are on."""
        settings, stun = self.services()
        self.assertEqual((settings.rates, settings.work_from), (Rates(), STRANGERS))
        self.assertEqual((stun.rate, settings.work_key), (Rates().stun, b""))

    def test_values(self) -> None:
        """Each reaches its slot."""
        secret = Path(self.mktemp())
        secret.write_text("word\n")
        settings, stun = self.services(
            *("--rate=1/2", "--key-rate=3/4", "--read-rate=0", "--stun-rate=7/8"),
            *("--work-from=9", f"--work-secret-file={secret}"),
        )
        rates = Rates(Rate(1, 2), Rate(3, 4), Rate(0, 0), Rate(7, 8))
        self.assertEqual((settings.rates, stun.rate), (rates, Rate(7, 8)))
        self.assertEqual((settings.work_from, settings.work_key), (9.0, b"word"))
        self.assertNotIn("word", repr(settings))


class RelayOptionsTests(SynchronousTestCase):
    """Relays, and the secret that is shared with them."""

    def secret_file(self, content: bytes) -> str:
        """Write a file, and return the option that names it."""
        path = Path(self.mktemp())
        path.write_bytes(content)
        return f"--turn-secret-file={path}"

    def test_none(self) -> None:
        """Without the options there are no relays."""
        options = parsed()
        self.assertEqual((options["turn"], options["turn-secret"]), ((), b""))
        self.assertIsNone(self.relays(options))

    def test_values(self) -> None:
        """URLs come out in full, each once; the secret without the line's end."""
        options = parsed(
            "--turn=turn:relay.example, turns:relay.example:443,turn:relay.example:3478",
            self.secret_file(b"north-south\n"),
            "--turn-ttl=3600",
        )
        expected = ("turn:relay.example:3478", "turns:relay.example:443")
        self.assertEqual(options["turn"], expected)
        self.assertEqual((options["turn-secret"], options["turn-ttl"]), (b"north-south", 3600))

    def relays(self, options: Options) -> Any:
        """Return what the registry made from options tells of relays."""
        web = next(s for s in makeService(options) if isinstance(s, WebService))
        return web.registry.settings.relays

    def test_registry(self) -> None:
        """They reach the registry; each process has a key of its own for pseudonyms."""
        options = parsed("--turn=turn:relay.example", self.secret_file(b"word"))
        one, two = self.relays(options), self.relays(options)
        self.assertEqual((one.urls, one.ttl), (("turn:relay.example:3478",), 86_400))
        self.assertNotEqual(one.issue("peer", 0.0).username, two.issue("peer", 0.0).username)
        self.assertNotIn("word", repr(one))

    def test_bad_values(self) -> None:
        """What can't be used is said, with its option."""
        secret = self.secret_file(b"word")
        many = ",".join(f"turn:relay{number}.example" for number in range(9))
        for words, expected in (
            (["--turn=turn:a"], "--turn and --turn-secret-file need each other"),
            ([secret], "--turn and --turn-secret-file need each other"),
            (["--turn=relay.example", secret], "--turn: 'relay.example' is not a TURN URL"),
            (["--turn=turn:a,", secret], "--turn: '' is not a TURN URL"),
            (["--turn=turn:a:x", secret], "--turn: 'turn:a:x': no port"),
            ([f"--turn={many}", secret], "--turn: 9 URLs, 8 at most"),
            (["--turn=turn:a", "--turn-secret-file=/nowhere/at/all"], "No such file"),
            (["--turn=turn:a", "--turn-secret-file=/"], "--turn-secret-file: '/': Is a directory"),
            (["--turn=turn:a", self.secret_file(b" \n")], "is empty"),
            (["--turn=turn:a", self.secret_file(b"two words")], "must hold one word"),
            (["--turn=turn:a", self.secret_file(b"x" * 2000)], "must hold one word"),
            (["--turn=turn:a", secret, "--turn-ttl=5"], "--turn-ttl must be from 300 to 604800"),
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
        """There is an HTTP service, and STUN in both families; without STUN, HTTP alone."""
        kinds = [type(service) for service in makeService(parsed())]
        self.assertEqual(kinds, [StunService, StunService, WebService])
        kinds = [type(service) for service in makeService(parsed("--stun=0"))]
        self.assertEqual(kinds, [WebService])

    def test_started(self) -> None:
        """Somebody is told when all services have started."""
        told: list[bool] = []
        services = RegistryServices(lambda: told.append(all(one.running for one in services)))
        Service().setServiceParent(services)
        services.startService()
        self.assertEqual(told, [True])

    def test_addresses(self) -> None:
        """STUN is bound to the addresses given."""
        words = ("--address=192.0.2.1", "--second-address=192.0.2.2", "--stun=5000")
        stun = next(s for s in makeService(parsed(*words)) if isinstance(s, StunService))
        bound = [stun.server.transport_address(socket) for socket in stun.server.sockets()]
        expected = [("192.0.2.1", 5000), ("192.0.2.1", 5001)]
        self.assertEqual(bound, [*expected, ("192.0.2.2", 5000), ("192.0.2.2", 5001)])

    def test_all_interfaces(self) -> None:
        """Without an address STUN is bound to all, those of IPv6 if there are any."""
        services = [s for s in makeService(parsed()) if isinstance(s, StunService)]
        bound = [(*s.server.addresses, s.is_optional) for s in services]
        self.assertEqual(bound, [("", False), ("::", True)])

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
        self.assertEqual(makers["p2ppeer"].module, "p2pchat.tap.p2ppeer")

    def test_light(self) -> None:
        """Neither the plugin file nor the options load Klein or a reactor."""
        program = (
            "import sys, twisted.plugins.p2pchat_plugins, p2pchat.tap.p2psignal as t;"
            "t.Options().parseOptions([]);"
            "print([m for m in ('klein', 'twisted.internet.reactor') if m in sys.modules])"
        )
        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        self.assertEqual(run.stdout.strip(), "[]")
