"""
``twistd -n p2psignal``: the registry and its STUN service.

Imports neither Klein nor a reactor: ``twistd`` imports this module before the reactor is chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.application.service import MultiService
from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger
from twisted.python import usage

from p2pchat.errors import ConfigurationError, RemoteProtocolError
from p2pchat.wire.addresses import parse_ip
from p2pchat.wire.origins import origin

if TYPE_CHECKING:
    from p2pchat.signaling.registry import Registry

LEASES = (5, 86_400)  # seconds; shorter would be all renewal, longer would show the dead for a day

_log = Logger()


class Options(usage.Options):
    """The command line of ``p2psignal``."""

    synopsis = "[options]"
    longdesc = "Introduces p2pchat peers to each other, and tells them their public addresses."

    optParameters = [
        ["listen", "l", "tcp:8000", "Endpoint string of the HTTP port, such as tcp:8000."],
        ["stun", "s", "3478", "First of two UDP ports for STUN; 0: no STUN."],
        ["address", "a", "", "IP address for STUN (default: all interfaces)."],
        ["second-address", "b", "", "Second IP address for STUN (RFC 5780), beside --address."],
        ["lease", None, "60", "Seconds after which a peer that fell silent is forgotten."],
        ["public-url", "u", "", "URL that peers dial, if known; advised on public hosts."],
    ]

    def postOptions(self) -> None:
        """Check every value, and put numbers in place of digits."""
        self["stun"] = self._number("stun", 0, 65_534)
        self["lease"] = self._number("lease", *LEASES)
        self["public-url"] = self._origin(self["public-url"])
        self._check_endpoint()
        self._check_addresses()

    def _number(self, name: str, least: int, most: int) -> int:
        text = self[name]
        if not (text.isascii() and text.isdigit() and len(text) < 9):
            raise usage.UsageError(f"--{name}: {text!r} is not a number")
        if not least <= int(text) <= most:
            raise usage.UsageError(f"--{name} must be from {least} to {most}")
        return int(text)

    def _origin(self, url: str) -> str | None:
        try:
            return origin(url) if url else None
        except RemoteProtocolError as error:
            raise usage.UsageError(f"--public-url: {error}") from None

    def _check_endpoint(self) -> None:
        try:
            serverFromString(None, self["listen"])
        except Exception as error:  # endpoint plugins raise what they like
            raise usage.UsageError(
                f"--listen: {self['listen']!r} is no endpoint ({error}); try tcp:8000"
            ) from None

    def _check_addresses(self) -> None:
        first = self._ip("address")
        second = self._ip("second-address")
        if not second:
            return
        if not first or not self["stun"]:
            raise usage.UsageError("--second-address needs --address and --stun")
        if first == second or (":" in first) != (":" in second):
            raise usage.UsageError(
                "--address and --second-address must be two addresses of one family"
            )

    def _ip(self, name: str) -> str:
        try:
            self[name] = str(parse_ip(self[name])) if self[name] else ""
        except RemoteProtocolError as error:
            raise usage.UsageError(f"--{name}: {error}") from None
        return str(self[name])


class RegistryServices(MultiService):
    """The services together; what keeps one from starting is said in one line."""

    def privilegedStartService(self) -> None:
        """Bind all ports, or end the program."""
        try:
            super().privilegedStartService()
        except ConfigurationError as error:
            _log.critical("p2psignal can't start: {error}", error=error)
            raise SystemExit(1) from None


def makeService(options: Options) -> MultiService:
    """Make the registry and its STUN service from checked options."""
    # Klein installs the reactor, and twistd has chosen one by now.
    from twisted.internet import reactor  # noqa: PLC0415

    from p2pchat.runtime import real_runtime  # noqa: PLC0415
    from p2pchat.signaling.registry import Registry, Settings  # noqa: PLC0415
    from p2pchat.signaling.resource import RegistryResource  # noqa: PLC0415
    from p2pchat.signaling.site import RegistrySite  # noqa: PLC0415
    from p2pchat.signaling.web_service import WebService  # noqa: PLC0415

    runtime = real_runtime(reactor)
    settings = Settings(
        float(options["lease"]), options["public-url"], options["stun"], options["second-address"]
    )
    registry = Registry(runtime, settings)
    resource = RegistryResource(registry)
    site = RegistrySite(resource.app.resource(), registry.counts, runtime.clock)
    services = RegistryServices()
    _add_stun(services, registry, options)
    WebService(registry, site, serverFromString(reactor, options["listen"])).setServiceParent(
        services
    )
    return services


def _add_stun(services: MultiService, registry: Registry, options: Options) -> None:
    from p2pchat.signaling.stun_answers import BindingServer  # noqa: PLC0415
    from p2pchat.signaling.stun_service import StunService  # noqa: PLC0415

    if options["stun"]:
        second = options["second-address"]
        addresses = (options["address"], second) if second else (options["address"],)
        server = BindingServer(addresses, options["stun"])
        service = StunService(registry.runtime, server, registry.counts.stun)
        service.setServiceParent(services)
