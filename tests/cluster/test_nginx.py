"""
One registry behind nginx, as people set it up: whatever nginx does, two peers find each other.

The configurations are the shortest ones that have what they are named for; docs/scaling.rst has a
good one, which `test_cluster` tries.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import TestCase

from tests.cases import each
from tests.certificates import write_certificate
from tests.cluster.balancers import NGINX, end
from tests.cluster.deployment import Here, Instance, await_that, reason_without_word
from tests.lab.conversation import connect, exchange
from tests.lab.peers import JsonPeer
from tests.ports import free_port

BACK_LIMIT = 30.0  # seconds; to be registered again after a restart
QUIET = 20.0  # seconds; in which every short time limit has shown

PROXY = (
    "location / {{ proxy_pass http://127.0.0.1:{to}; proxy_set_header Host $http_host; "
    "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; {more} }}"
)
#: What stands in ``http``, in ``server`` and in ``location`` beside a bare ``proxy_pass``.
SET_UPS = {
    "bare": ("", "", ""),  # to the registry by HTTP/1.0
    "buffers": ("", "", "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;"),
    "hasty": ("", "", "proxy_read_timeout 5s;"),
    "kept": ("", "", 'proxy_http_version 1.1; proxy_set_header Connection "";'),
    "compresses": ("gzip on; gzip_types *; gzip_proxied any; gzip_min_length 1;", "", ""),
    "tls": ("", "ssl_certificate certificate.pem; ssl_certificate_key key.pem;", ""),
    "two": ("", "", ""),  # nginx before nginx
}


class NginxTests(TestCase):
    """Blocking calls are fine here."""

    timeout = 180

    def setUp(self) -> None:
        if reason := reason_without_word():
            raise SkipTest(reason)
        if shutil.which(NGINX.program) is None:
            raise SkipTest(f"not installed: {NGINX.program}")
        self.directory = tempfile.mkdtemp(prefix="nginx-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        os.chmod(self.directory, 0o755)
        write_certificate(self.directory, "127.0.0.1")
        self.front, self.back = free_port(), free_port()

    def configuration(self, name: str) -> str:
        """Return what nginx is to read."""
        around, server, more = SET_UPS[name]
        behind = free_port() if name == "two" else self.back
        listens = f"listen 127.0.0.1:{self.front}{' ssl http2' if name == 'tls' else ''};"
        places = [f"{listens} {server} {PROXY.format(to=behind, more=more)}"]
        if name == "two":
            inner = PROXY.format(to=self.back, more="")
            places.append(f"listen 127.0.0.1:{behind}; {inner}")
        kept = "".join(
            f"{kind}_temp_path {kind}; "
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        servers = "\n".join(f"server {{ {place} }}" for place in places)
        return f"events {{}}\nhttp {{ access_log off; {kept} {around}\n{servers}\n}}\n"

    def start_nginx(self) -> None:
        """Start it; its files are in the directory."""
        with open(os.path.join(self.directory, "nginx.log"), "ab") as log:
            running = subprocess.Popen(
                [NGINX.program, *NGINX.words],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.addCleanup(end, running)

    def person(self, name: str, url: str) -> JsonPeer:
        """Start a peer that accepts every call."""
        trust = os.path.join(self.directory, "certificate.pem")
        peer = JsonPeer.start(Here(), name, url, "--accept", "all", trust=trust)
        self.addCleanup(peer.close)
        return peer

    @each(*SET_UPS)
    def test_behind(self, name: str) -> None:
        """They register, talk, are there after a while, and after the registry's restart."""
        url = f"{'https' if name == 'tls' else 'http'}://127.0.0.1:{self.front}"
        words = ("--public-url", url, "--trusted-proxy", "127.0.0.1")
        registry = Instance(words, self.directory, port=self.back)
        self.addCleanup(registry.kill)
        Path(self.directory, "balancer.conf").write_text(self.configuration(name))
        registry.start()
        self.start_nginx()
        alice, bob = self.person("alice", url), self.person("bob", url)
        for peer in (alice, bob):
            peer.wait_for("registered", BACK_LIMIT)
        connect(alice, bob)
        exchange(alice, bob, name, 1)
        time.sleep(QUIET)
        told = [len(peer.named("registry_lost")) for peer in (alice, bob)]
        self.assertLessEqual(max(told), 2, alice.named("registry_lost"))
        before = {peer.username: len(peer.named("registered")) for peer in (alice, bob)}
        registry.terminate()
        registry.start()
        for peer in (alice, bob):
            await_that(
                lambda peer=peer: len(peer.named("registered")) > before[peer.username],  # type: ignore[misc]
                BACK_LIMIT,
                f"{peer.username} registered again",
            )
        alice.send("/disconnect bob")
        bob.wait_for("disconnected")
        connect(bob, alice)
