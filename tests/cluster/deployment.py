"""
The deployment that docs/scaling.rst describes: Redis, two registries, HAProxy before them.

The configurations of Redis and HAProxy are the page's own, with other ports. Owns the processes
and their folders; `close` ends all.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from tests.lab.peers import REPOSITORY, surroundings, twistd
from tests.signaling.redis_server import RedisServer, free_port

START_LIMIT = 20.0  # seconds
LEASE = 15  # seconds; so that renewals come every 5
HAPROXY = shutil.which("haproxy") or "/usr/sbin/haproxy"


def reason_to_skip() -> str:
    """Say why these trials cannot run here; empty when they can."""
    if os.environ.get("P2PCHAT_CLUSTER") != "1":
        return "trials of a cluster run only with P2PCHAT_CLUSTER=1"
    missing = [name for name in ("redis-server", HAPROXY) if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


def documented(first_words: str) -> str:
    """Return the configuration in the page that begins with these words."""
    page = (REPOSITORY / "docs" / "scaling.rst").read_text()
    blocks = re.findall(r"^\.\. code-block:: ini\n\n((?:    .*\n|\n)+)", page, re.MULTILINE)
    texts = [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in blocks]
    return next(text for text in texts if text.startswith(first_words))


def await_that(happened: Callable[[], object], limit: float, what: str) -> float:
    """Wait until something has happened; returns the seconds."""
    start = time.monotonic()
    while not happened():
        if time.monotonic() - start > limit:
            raise AssertionError(f"not within {limit} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - start


class Here:
    """This machine, as a place to start peers."""

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program."""
        return subprocess.Popen(list(argv), **options)


@attrs.frozen
class Page:
    """An answer of the registry."""

    status: int
    json: dict[str, Any]


def fetch(url: str) -> Page | None:
    """Return what is there; None: nobody, or nobody of ours."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return Page(answer.status, json.load(answer))
    except urllib.error.HTTPError as error:
        try:
            return Page(error.code, json.load(error))
        except ValueError:
            return None
    except OSError:
        return None


@attrs.define
class Instance:
    """One `p2psignal` process."""

    words: tuple[str, ...]
    directory: str
    port: int = attrs.Factory(free_port)
    stun_port: int = attrs.Factory(free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is, past the balancer."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, await_answer: bool = True) -> None:
        """Start it, and wait until it answers."""
        endpoint = f"tcp:{self.port}:interface=127.0.0.1"
        words = ("--listen", endpoint, "--stun", str(self.stun_port), *self.words)
        with open(self.log_file, "ab") as log:
            self._process = subprocess.Popen(
                twistd("p2psignal", *words),
                cwd=self.directory,
                env=surroundings(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if await_answer:
            await_that(lambda: fetch(f"{self.url}/status"), START_LIMIT, "a registry")

    def kill(self) -> None:
        """End it as a power cut would: kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def terminate(self) -> None:
        """Stop it as an operator would."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait()
        self._process = None

    def streams(self) -> int:
        """Return how many event streams hang on it."""
        page = fetch(f"{self.url}/status")
        return -1 if page is None else int(page.json["peers_online"])

    @property
    def log_file(self) -> str:
        """Where it logs."""
        return os.path.join(self.directory, f"registry-{self.port}.log")


@attrs.define
class Deployment:
    """All of it."""

    redis: RedisServer = attrs.field(init=False)
    instances: tuple[Instance, Instance] = attrs.field(init=False)
    port: int = attrs.Factory(free_port)
    directory: str = attrs.Factory(lambda: tempfile.mkdtemp(prefix="cluster-"))
    _balancer: subprocess.Popen[bytes] | None = None

    def __attrs_post_init__(self) -> None:
        self.redis = RedisServer(configuration=documented("bind 127.0.0.1"))
        shared = ("--store", self.redis.url, "--trusted-proxy", "127.0.0.1")
        words = (*shared, "--public-url", self.url, "--lease", str(LEASE))
        self.instances = (Instance(words, self.directory), Instance(words, self.directory))

    @property
    def url(self) -> str:
        """What peers dial."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start everything, and wait until it works."""
        self.redis.start()
        for instance in self.instances:
            instance.start(await_answer=False)
        self._start_balancer()
        for url in (*(instance.url for instance in self.instances), self.url):
            await_that(lambda url=url: self.works(url), START_LIMIT, url)  # type: ignore[misc]

    def _start_balancer(self) -> None:
        text = documented("global")
        for old, new in (
            ("maxconn 50000", "maxconn 500"),  # which takes two file descriptors each
            ("bind :80", f"bind 127.0.0.1:{self.port}"),
            ("127.0.0.1:8001", f"127.0.0.1:{self.instances[0].port}"),
            ("127.0.0.1:8002", f"127.0.0.1:{self.instances[1].port}"),
        ):
            assert old in text, old
            text = text.replace(old, new)
        file = Path(self.directory, "haproxy.cfg")
        file.write_text(text)
        with open(os.path.join(self.directory, "haproxy.log"), "ab") as log:
            self._balancer = subprocess.Popen(
                [HAPROXY, "-db", "-f", str(file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def works(self, url: str = "") -> bool:
        """Tell whether records are shown."""
        page = fetch(f"{url or self.url}/peers")
        return page is not None and page.status == 200

    def online(self) -> set[str]:
        """Return the names of the peers that are shown as online, through the balancer."""
        page = fetch(f"{self.url}/peers")
        peers = [] if page is None or page.status != 200 else page.json["peers"]
        return {peer["username"] for peer in peers if peer["online"]}

    def registered(self) -> set[str]:
        """Return the names of all peers, through the balancer."""
        page = fetch(f"{self.url}/peers")
        peers = [] if page is None or page.status != 200 else page.json["peers"]
        return {peer["username"] for peer in peers}

    def close(self) -> None:
        """End everything."""
        for instance in self.instances:
            instance.kill()
        if self._balancer is not None:
            self._balancer.kill()
            self._balancer.wait()
        self.redis.close()
        shutil.rmtree(self.directory, ignore_errors=True)
