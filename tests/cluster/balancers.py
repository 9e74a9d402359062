"""
The configurations that docs/scaling.rst has, and the balancers that two of them are for.

Each runs as the page says, but where a trial can have it: ports of its own, and all its files in
one folder.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import attrs

from tests.lab.peers import REPOSITORY


def documented(first_words: str) -> str:
    """Return the configuration in the page that begins with these words."""
    page = (REPOSITORY / "docs" / "scaling.rst").read_text()
    blocks = re.findall(r"^\.\. code-block:: \w+\n\n((?:    .*\n|\n)+)", page, re.MULTILINE)
    texts = [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in blocks]
    return next(text for text in texts if text.startswith(first_words))


@attrs.frozen
class Balancer:
    """
    One of the load balancers of the page.

    :ivar program: where it is.
    :ivar words: its command line, in the folder where its configuration is ``balancer.conf``.
    :ivar first_words: with which its configuration in the page begins.
    :ivar changes: what stands there, and what is put in its place; PORT is where it listens.
    """

    program: str
    words: tuple[str, ...]
    first_words: str
    changes: tuple[tuple[str, str], ...]

    def start(
        self, directory: str, port: int, registries: Sequence[int]
    ) -> subprocess.Popen[bytes]:
        """Start it before the registries at these ports; its files go to the directory."""
        text = documented(self.first_words)
        one, two = registries
        moved = (("127.0.0.1:8001", f"127.0.0.1:{one}"), ("127.0.0.1:8002", f"127.0.0.1:{two}"))
        for old, new in (*self.changes, *moved):
            assert old in text, old
            text = text.replace(old, new.replace("PORT", str(port)))
        Path(directory, "balancer.conf").write_text(text)
        with open(os.path.join(directory, "balancer.log"), "ab") as log:
            return subprocess.Popen(
                [self.program, *self.words],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def end(balancer: subprocess.Popen[bytes]) -> None:
    """End a balancer, and the processes that it started; those survive the death of the first."""
    os.killpg(balancer.pid, signal.SIGKILL)
    balancer.wait()


HAPROXY = Balancer(
    shutil.which("haproxy") or "/usr/sbin/haproxy",
    ("-db", "-f", "balancer.conf"),
    "global",
    (
        ("maxconn 50000", "maxconn 500"),  # which takes two file descriptors each
        ("bind :80", "bind 127.0.0.1:PORT"),
    ),
)

# Else they are Debian's, in /var, which nginx makes when it starts though it needs none of them.
_KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_KEPT_HERE = "".join(f"    {kind}_temp_path {kind};\n" for kind in _KINDS)
NGINX = Balancer(
    shutil.which("nginx") or "/usr/sbin/nginx",
    ("-p", ".", "-c", "balancer.conf", "-e", "stderr", "-g", "daemon off; pid balancer.pid;"),
    "user www-data",
    (
        ("worker_connections 50000", "worker_connections 500"),
        ("worker_rlimit_nofile 65536", "worker_rlimit_nofile 1024"),
        ("http {\n", "http {\n" + _KEPT_HERE),
        ("listen 80;", "listen 127.0.0.1:PORT;"),
    ),
)
