"""
A TURN server on the lab's public host: coturn, as an operator would run it.

It takes clients over UDP and TCP on one port and over TLS on another, and asks for the short-lived
credentials of the TURN REST scheme: the username is the time at which it expires, the password its
HMAC under a secret that the registry shares. It relays to public addresses only, so a permission
for a private one is refused, as it must be on the open internet.

Owns the process and its working directory, where the secret and the certificate are too.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

import attrs

from tests.certificates import write_certificate
from tests.lab.machines import Host
from tests.lab.service import Service

PROGRAM = "turnserver"
TURN_PORT = 3480  # UDP and TCP; 3478 and 3479 are the registry's STUN ports
TLS_PORT = 5349
START_LIMIT = 15.0  # seconds
REALM = "lab.example"

CONFIGURATION = """\
listening-ip={address}
relay-ip={address}
listening-port={port}
tls-listening-port={tls_port}
cert={directory}/certificate.pem
pkey={directory}/key.pem
userdb={directory}/turndb
pidfile={directory}/pid
log-file={directory}/log
simple-log
no-stdout-log
verbose
realm={realm}
fingerprint
use-auth-secret
static-auth-secret={secret}
no-cli
no-rfc5780
no-multicast-peers
denied-peer-ip=0.0.0.0-0.255.255.255
denied-peer-ip=10.0.0.0-10.255.255.255
denied-peer-ip=127.0.0.0-127.255.255.255
denied-peer-ip=169.254.0.0-169.254.255.255
denied-peer-ip=172.16.0.0-172.31.255.255
denied-peer-ip=192.168.0.0-192.168.255.255
"""

#: Tries to connect to a TCP port until it can or the time is up.
AWAIT = """\
import socket, sys, time
address, port, deadline = sys.argv[1], int(sys.argv[2]), time.monotonic() + float(sys.argv[3])
while True:
    try:
        socket.create_connection((address, port), 1).close()
        break
    except OSError as problem:
        if time.monotonic() > deadline:
            sys.exit(f"{address} {port}: {problem}")
        time.sleep(0.02)
"""


def reason_without_relay() -> str:
    """Say why no relay can run here; empty when it can."""
    return "" if shutil.which(PROGRAM) else f"not installed: {PROGRAM}"


@attrs.define(eq=False)
class Relay(Service):
    """coturn on the lab's server; with a `kill` every allocation is gone."""

    host: Host
    transports: tuple[str, ...] = ("udp", "tcp", "tls")  # that peers are told of
    ipv6: str = ""  # an address of the server, where it takes clients too
    secret: str = attrs.Factory(lambda: secrets.token_hex(16))

    @property
    def uris(self) -> tuple[str, ...]:
        """Where peers find it, by RFC 7065."""
        forms = {
            "udp": f"turn:{{}}:{TURN_PORT}",
            "tcp": f"turn:{{}}:{TURN_PORT}?transport=tcp",
            "tls": f"turns:{{}}:{TLS_PORT}?transport=tcp",
        }
        hosts = [self.host.address, *([f"[{self.ipv6}]"] if self.ipv6 else [])]
        return tuple(forms[one].format(host) for host in hosts for one in self.transports)

    @property
    def secret_file(self) -> str:
        """The file that holds the secret, for the registry."""
        return os.path.join(self.directory, "secret")

    @property
    def certificate_file(self) -> str:
        """The certificate, which is its own authority; clients trust it by `SSL_CERT_FILE`."""
        return os.path.join(self.directory, "certificate.pem")

    def credentials(self, lifetime: float = 3600.0) -> tuple[str, str]:
        """Return a username and a password that hold for `lifetime` seconds."""
        username = f"{int(time.time() + lifetime)}:lab"
        digest = hmac.digest(self.secret.encode(), username.encode(), "sha1")
        return username, base64.b64encode(digest).decode()

    def start(self) -> None:
        """Start it and wait until it answers; after `kill`, start it again."""
        Path(self.secret_file).write_text(self.secret + "\n")
        os.chmod(self.secret_file, 0o600)
        write_certificate(self.directory, self.host.address)
        configuration = Path(self.directory, "turnserver.conf")
        configuration.write_text(self._configuration())
        silent = subprocess.DEVNULL
        argv = [PROGRAM, "-c", str(configuration)]
        self.run(argv, stdin=silent, stdout=silent, stderr=silent)
        for port in (TURN_PORT, TLS_PORT):
            self._await_port(port)

    def _configuration(self) -> str:
        also = f"listening-ip={self.ipv6}\n" if self.ipv6 else ""
        return also + CONFIGURATION.format(
            address=self.host.address,
            port=TURN_PORT,
            tls_port=TLS_PORT,
            directory=self.directory,
            realm=REALM,
            secret=self.secret,
        )

    def _await_port(self, port: int) -> None:
        argv = [sys.executable, "-I", "-S", "-c", AWAIT, self.host.address, str(port)]
        if said := self.host.run([*argv, str(START_LIMIT)], START_LIMIT + 10):
            raise AssertionError(f"the relay does not answer: {said}\n{self.log_tail()}")
