"""
The deployment that docs/scaling.rst describes: Redis, two registries, a balancer before them.

The configurations of Redis and the balancer are the page's own, with other ports. Owns the
processes and their folders; `close` ends all.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from tests.cluster.balancers import Balancer, documented, end
from tests.lab.peers import surroundings, twistd
from tests.ports import free_port
from tests.registry.store.redis_server import RedisServer

START_LIMIT = 20.0  # seconds
LEASE = 15  # seconds; so that renewals come every 5


def reason_without_word() -> str:
    """Say that nobody asked for trials of a cluster; empty when somebody did."""
    asked = os.environ.get("P2PCHAT_CLUSTER") == "1"
    return "" if asked else "trials of a cluster run only with P2PCHAT_CLUSTER=1"


def reason_to_skip(balancer: Balancer) -> str:
    """Say why trials of this balancer cannot run here; empty when they can."""
    if reason_without_word():
        return reason_without_word()
    missing = [name for name in ("redis-server", balancer.program) if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


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

    def pause(self) -> None:
        """Stop it where it is; `kill` ends it even so."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

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

    balancer: Balancer
    redis: RedisServer = attrs.field(init=False)
    instances: tuple[Instance, Instance] = attrs.field(init=False)
    port: int = attrs.Factory(free_port)
    directory: str = attrs.Factory(lambda: tempfile.mkdtemp(prefix="cluster-"))
    _balancing: subprocess.Popen[bytes] | None = None

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
        ports = [instance.port for instance in self.instances]
        self._balancing = self.balancer.start(self.directory, self.port, ports)
        for url in (*(instance.url for instance in self.instances), self.url):
            await_that(lambda url=url: self.works(url), START_LIMIT, url)  # type: ignore[misc]

    def restart(self, instance: Instance) -> None:
        """Start a registry that was killed, and wait until the balancer sends requests to it."""
        began = time.monotonic()
        instance.start()

        def is_used() -> bool:
            page = fetch(f"{self.url}/status")
            return page is not None and page.json["uptime"] < time.monotonic() - began

        await_that(is_used, START_LIMIT, "the registry that started again, through the balancer")

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
        if self._balancing is not None:
            end(self._balancing)
        self.redis.close()
        shutil.rmtree(self.directory, ignore_errors=True)
