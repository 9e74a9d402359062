"""
The real programs, in the lab: `twistd p2psignal` on the server, `twistd p2ppeer` on the hosts.

A peer is watched through its `--json` output: one JSON object on each line of standard output,
with an "event" and a "time". Whatever else it prints is kept as its log. To each object the watcher
adds "arrived", in seconds of this process's monotonic clock.

Owns the processes and their working directories; both end with `close`, or with the lab.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import attrs

from tests.lab.machines import Host
from tests.lab.relay import Relay
from tests.lab.service import Machine, Service

Event = dict[str, Any]

REPOSITORY = Path(__file__).parents[2]
TWISTD = str(Path(sys.executable).with_name("twistd"))
HTTP_PORT = 8000
START_LIMIT = 60.0  # seconds; a busy machine may take this long to start an interpreter
PATIENCE = 60.0  # seconds for what takes one at most: a busy machine isn't a fault
END_LIMIT = 10.0  # seconds; from asking a process to end until it is killed

#: Fetches a page, trying again until it answers or the time is up; then prints the body.
FETCH = """\
import sys, time, urllib.request
url, deadline = sys.argv[1], time.monotonic() + float(sys.argv[2])
while True:
    try:
        print(urllib.request.urlopen(url, timeout=2).read().decode())
        break
    except OSError as problem:
        if time.monotonic() > deadline:
            sys.exit(f"{url}: {problem}")
        time.sleep(0.05)
"""


def twistd(plugin: str, *options: str) -> list[str]:
    """Return the command that runs one of our plugins in the foreground, with no pid file."""
    return [TWISTD, "-n", "--pidfile=", plugin, *options]


def surroundings(trust: str = "") -> dict[str, str]:
    """
    Return an environment in which twistd finds this checkout, its plugins too.

    `trust` is a file of certificates to believe in place of the system's. A proxy of this machine
    is none of the lab's.
    """
    path = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    kept = {name: value for name, value in os.environ.items() if "_PROXY" not in name.upper()}
    found = {**kept, "PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}
    return {**found, "SSL_CERT_FILE": trust} if trust else found


def fetch(host: Host, url: str, timeout: float = START_LIMIT) -> str:
    """Return the page at `url` as `host` gets it, waiting until it is there."""
    return host.run([sys.executable, "-I", "-S", "-c", FETCH, url, str(timeout)], timeout + 10)


@attrs.define(eq=False)
class Registry(Service):
    """`p2psignal` on the lab's server, its STUN service on both of the server's addresses."""

    host: Host
    addresses: int = 2
    relay: Relay | None = None  # one that it tells peers of, with credentials
    ipv6: str = ""  # an address of the server; it then serves all of them, in both families
    name: str = ""  # one that peers find it by
    options: Sequence[str] = ()  # further ones
    environment: Mapping[str, str] = attrs.Factory(dict)  # added to ours

    @property
    def url(self) -> str:
        """Where peers find it."""
        return f"http://{self.host.address}:{HTTP_PORT}"

    @property
    def url6(self) -> str:
        """Where peers find it over IPv6."""
        return f"http://[{self.ipv6}]:{HTTP_PORT}"

    @property
    def url_by_name(self) -> str:
        """Where peers find it who know a name server."""
        return f"http://{self.name}:{HTTP_PORT}"

    def start(self) -> None:
        """Start it and wait until it answers; after `kill`, start it again."""
        options = ["--listen", f"tcp:{HTTP_PORT}", "--address", self.host.addresses[0]]
        if self.ipv6:
            options = ["--listen", rf"tcp:{HTTP_PORT}:interface=\:\:"]
        elif self.addresses > 1:
            options += ["--second-address", self.host.addresses[1]]
        if self.name:
            options += ["--public-url", self.url_by_name, "--public-url", self.url]
        if self.relay is not None:
            options += ["--turn", ",".join(self.relay.uris)]
            options += ["--turn-secret-file", self.relay.secret_file]
        options += self.options
        argv, env = twistd("p2psignal", *options), {**surroundings(), **self.environment}
        with open(self.log_file, "ab") as log:
            self.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        self._await_answer()

    def peers(self) -> str:
        """Return the listing of who is online, as the server's host gets it."""
        return fetch(self.host, f"{self.url}/peers")

    def metrics(self) -> str:
        """Return its figures, which it tells its own machine."""
        return fetch(self.host, f"http://127.0.0.1:{HTTP_PORT}/metrics")

    def _await_answer(self) -> None:
        answer = fetch(self.host, f"{self.url}/peers")
        if f"{self.url}/peers:" in answer:
            raise AssertionError(f"the registry does not answer: {answer}\n{self.log_tail()}")


@attrs.define(eq=False)
class JsonPeer(Service):
    """A `p2ppeer` process: what is typed to it, and the events that it tells."""

    username: str
    events: list[Event] = attrs.Factory(list)
    _unread: list[Event] = attrs.Factory(list)
    _said: deque[str] = attrs.Factory(lambda: deque(maxlen=40))
    _arrived: threading.Condition = attrs.Factory(threading.Condition)
    _ended: bool = False

    @classmethod
    def start(
        cls,
        host: Machine,
        username: str,
        server: str,
        *options: str,
        trust: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> JsonPeer:
        """
        Start a peer of this name on `host`; `options` follow the usual ones.

        Without a server it isn't told of one. `trust` is a file of certificates that it believes;
        `environment` adds to ours.
        """
        named = ("--server", server) if server else ()
        peer, pipe = cls(host, username), subprocess.PIPE
        process = peer.run(
            twistd("p2ppeer", "--username", username, *named, "--json", *options),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
            bufsize=1,
            env={**surroundings(trust), **(environment or {})},
        )
        for read, stream in ((peer._read_events, process.stdout), (peer._read_log, process.stderr)):
            threading.Thread(target=read, args=(stream,), daemon=True).start()
        return peer

    def send(self, line: str) -> float:
        """Type a line, and return when."""
        assert self.process.stdin is not None
        now = time.monotonic()
        try:
            self.process.stdin.write(line + "\n")
        except OSError:
            raise AssertionError(self._story(f"has ended, cannot read {line!r}")) from None
        return now

    def wait_for(self, event: str, timeout: float = PATIENCE, **fields: Any) -> Event:
        """
        Return the next event of this name with these fields, waiting up to `timeout` seconds.

        An event is returned once: to wait for the same again is to wait for another. Raises
        AssertionError, with the last events and log lines, when it does not come.
        """
        return self.wait_for_any((event,), timeout, **fields)

    def wait_for_any(self, names: Sequence[str], timeout: float, **fields: Any) -> Event:
        """Return the next event of any of these names, as `wait_for` does."""
        deadline = time.monotonic() + timeout
        with self._arrived:
            while (found := self._take(names, fields)) is None:
                remaining = deadline - time.monotonic()
                if remaining <= 0 or self._ended:
                    wanted = " or ".join(names)
                    raise AssertionError(self._story(f"no {wanted} {fields} in {timeout:.1f} s"))
                self._arrived.wait(remaining)
        return found

    def await_last(
        self, event: str, matches: Callable[[Event], bool], timeout: float = PATIENCE
    ) -> Event:
        """
        Return the last event of this name so far, as soon as it matches.

        What is told again when it changes, as a path is, is waited for like this: it may be so
        already, or become so soon. Raises AssertionError, as `wait_for`, where it doesn't.
        """
        deadline = time.monotonic() + timeout
        with self._arrived:
            while not ((found := self.named(event)) and matches(found[-1])):
                remaining = deadline - time.monotonic()
                if remaining <= 0 or self._ended:
                    raise AssertionError(self._story(f"no such {event} in {timeout:.1f} s"))
                self._arrived.wait(remaining)
        return found[-1]

    def named(self, event: str) -> list[Event]:
        """Return all events of this name so far, returned by `wait_for` or not."""
        with self._arrived:
            return [found for found in self.events if found["event"] == event]

    def texts(self) -> list[str]:
        """Return the texts of all messages so far, in the order they came."""
        return [message["text"] for message in self.named("message")]

    def close(self) -> None:
        """End it: by asking, then by force."""
        self.resume()
        if self.process.poll() is None:
            self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(END_LIMIT)
        Service.close(self)

    def _take(self, names: Sequence[str], fields: Event) -> Event | None:
        for found in self._unread:
            if found["event"] in names and fields.items() <= found.items():
                self._unread.remove(found)
                return found
        return None

    def _read_events(self, stream: IO[str]) -> None:
        for line in stream:
            arrived = time.monotonic()
            with self._arrived:
                self._note(line.rstrip("\n"), arrived)
                self._arrived.notify_all()
        with self._arrived:
            self._ended = True
            self._arrived.notify_all()

    def _note(self, line: str, arrived: float) -> None:
        try:
            told = json.loads(line)
        except ValueError:
            told = None
        if not isinstance(told, dict) or "event" not in told:
            self._said.append(line)
            return
        told["arrived"] = arrived
        self.events.append(told)
        self._unread.append(told)

    def _read_log(self, stream: IO[str]) -> None:
        for line in stream:
            self._said.append(line.rstrip("\n"))

    def _story(self, complaint: str) -> str:
        events = "\n".join(json.dumps(event) for event in self.events[-15:])
        log = "\n".join(self._said)
        return f"{self.username}: {complaint}\nevents:\n{events}\nlog:\n{log}"
