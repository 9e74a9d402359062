"""
The services of ``p2psignal``: the registry's HTTP ports and its STUN, from checked options.

Imports Klein, which installs the reactor: nothing that ``twistd`` imports before it has chosen one
may import this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger

from p2pchat.errors import ConfigurationError
from p2pchat.interfaces import IMailboxStore, IRegistryStore
from p2pchat.registry.admission.rates import Limits
from p2pchat.registry.audiences import Audiences
from p2pchat.registry.event_streams import EventStreams
from p2pchat.registry.http.resource import HttpSettings, MetricsResource, RegistryResource
from p2pchat.registry.http.web_service import PortService, WebService
from p2pchat.registry.mailbox.redis_store import RedisMailboxes
from p2pchat.registry.mailbox.sqlite_store import SqliteMailboxes
from p2pchat.registry.registry import MailboxMaker, Registry, Settings
from p2pchat.registry.relay_credentials import PSEUDONYM_KEY, RelayCredentials
from p2pchat.registry.store.memory import MemoryStore
from p2pchat.registry.store.redis import RedisStore, redis_store
from p2pchat.registry.stun.binding_server import BindingServer
from p2pchat.registry.stun.service import StunService
from p2pchat.runtime import Runtime, real_runtime
from p2pchat.tap.p2psignal import Options
from p2pchat.tap.process import allow_open_files, spare_long_lived
from p2pchat.wire.addresses import ANY_IPV6

SPARE_FILES = 128  # beside connections: log, STUN, store, metrics, and what arrives to be refused

_log = Logger()


class CannotStart(SystemExit, ConfigurationError):
    """
    The program ends before it has begun.

    As an ``Exception`` it makes ``twistd`` remove its PID file, and a daemon tell the shell that
    waits for it; as a ``SystemExit`` it ends the process with status 1 and without a traceback.
    """

    __module__ = "builtins"  # the shell is told 100 characters, beginning with this and the name

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.code = 1


@contextmanager
def _as_one_line() -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        _log.critical("p2psignal can't start: {error}", error=error)
        raise CannotStart(str(error)) from None


class RegistryServices(MultiService):
    """
    The services together; what keeps one from starting is said in one line.

    :param started: called when all have started.
    """

    def __init__(self, started: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self._started = started

    def startService(self) -> None:
        """Start all, or end the program."""
        with _as_one_line():
            super().startService()
        self._started()

    def privilegedStartService(self) -> None:
        """Bind all ports, or end the program."""
        with _as_one_line():
            super().privilegedStartService()


def registry_services(reactor: Any, options: Options) -> MultiService:
    """Make all services."""
    runtime = real_runtime(reactor)
    store = MemoryStore if options["store"] is None else redis_store(options["store"])
    registry = Registry(runtime, _settings(options, runtime), store, _mailboxes(options))
    chosen = _http_settings(options)
    services = RegistryServices(lambda: reactor.callWhenRunning(spare_long_lived))
    _add_stun(services, registry, options)
    endpoint = serverFromString(reactor, options["listen"])
    secure = options["listen"].startswith(("ssl:", "tls"))
    site = RegistryResource(registry, chosen).site()
    WebService(site, endpoint, registry=registry, secure=secure).setServiceParent(services)
    if options["metrics"]:
        site = MetricsResource(registry, chosen).site()
        endpoint = serverFromString(reactor, options["metrics"])
        service = PortService(site, endpoint, name="Prometheus' port", option="--metrics")
        service.setServiceParent(services)
    return services


def _settings(options: Options, runtime: Runtime) -> Settings:
    return Settings(
        lease=float(options["lease"]),
        audiences=Audiences(options["public-url"]),
        stun_port=options["stun"],
        second_address=options["second-address"],
        relays=_relay_credentials(options, runtime),
        stun_host=options["stun-host"],
        rates=options["rates"],
        work_from=float(options["work-from"]),
        work_key=options["work-secret"],
        streams=Limits(options["max-streams"], options["max-streams-per-address"]),
    )


def _mailboxes(options: Options) -> MailboxMaker | None:
    if not options["mailbox"]:
        return None
    path = Path(options["mailbox-file"]).absolute() if options["mailbox-file"] else None
    capacity = options["mailbox-size"] * 1024 * 1024

    def make(runtime: Runtime, streams: EventStreams, store: IRegistryStore) -> IMailboxStore:
        if isinstance(store, RedisStore):
            return RedisMailboxes(runtime, store, capacity)
        return SqliteMailboxes(runtime, streams, path, capacity)

    return make


def _http_settings(options: Options) -> HttpSettings:
    return HttpSettings(
        proxies=options["trusted-proxy"],
        connections=_connections(options),
        local_metrics=not options["metrics"],
        has_list=not options["no-list"],
    )


def _connections(options: Options) -> Limits:
    most = options["max-connections"]
    room = allow_open_files(most + SPARE_FILES) - SPARE_FILES
    if room < most:
        _log.warn(
            "only {room} connections instead of {most}: the limit of open files is too low",
            room=room,
            most=most,
        )
    return Limits(max(1, min(most, room)), options["max-connections-per-address"])


def _relay_credentials(options: Options, runtime: Runtime) -> RelayCredentials | None:
    if not options["turn"]:
        return None
    key = runtime.random_bytes(PSEUDONYM_KEY)
    return RelayCredentials(options["turn"], options["turn-ttl"], options["turn-secret"], key)


def _add_stun(services: MultiService, registry: Registry, options: Options) -> None:
    if not options["stun"]:
        return
    second = options["second-address"]
    addresses = (options["address"], second) if second else (options["address"],)
    served = [(addresses, False)] + ([] if options["address"] else [((ANY_IPV6,), True)])
    for bound, is_optional in served:
        server = BindingServer(bound, options["stun"])
        count, rate = registry.metrics.datagram, options["rates"].stun
        service = StunService(registry.runtime, server, count, rate, is_optional)
        service.setServiceParent(services)
