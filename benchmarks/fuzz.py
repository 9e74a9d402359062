"""
A million malformed inputs, and a registry that goes on answering with no more memory than before.

Starts a ``p2psignal`` of its own on loopback and sends it STUN datagrams and HTTP bodies that are
random, mutilated, or properly signed nonsense.  In between an honest peer, from another address,
asks for its mapped address, registers and looks itself up: each time it must be answered.

Limits by source are off, so that everything reaches the code that reads it.

Fails if an honest request fails, if an answer has status 500, if fewer datagrams were read than
sent, if the log has a traceback, or if the process grew by more than GROWTH since it was warm.

Run ``python -m benchmarks.fuzz [--count N] [--seed N]``.  The same seed makes the same
inputs, but for the dates and origins in signed documents.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import attrs

from p2pchat.identity.keys import Identity
from p2pchat.identity.signed_documents import sign_document
from p2pchat.wire import stun
from p2pchat.wire.base64url import encode_bytes
from p2pchat.wire.documents import RecordKey, Registration, Removal, Sealed, Subscription
from p2pchat.wire.strict_json import JsonObject

HTTP_PORT, STUN_PORT = 18131, 18132
SERVER, SECOND, HOSTILE, HONEST = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"
ORIGIN = f"http://{SERVER}:{HTTP_PORT}"
UNLIMITED = [
    *("--rate=0", "--key-rate=0", "--read-rate=0", "--watch-rate=0", "--stun-rate=0"),
    *("--unsolicited-rate=0", "--work-from=0"),
]
HTTP_SHARE = 0.3  # of the inputs; a datagram costs the registry a tenth of a request
BURST = 100  # datagrams between two honest requests: what a socket's buffer holds
PIPELINE = 20  # requests on the way at once
WARM = 0.1  # of the inputs: then buffers, caches and tables have their size
GROWTH = 8  # MiB after that; the caches of 10,000 headers and of as many ids fill, and then stay
TIMEOUT = 10.0  # seconds for any answer
MOST_BYTES = 60_000  # of a body; a longer one ends the connection, which is another test

OTHER = Identity.from_seed(bytes(32)).peer_id

Make = Callable[[], bytes]


@attrs.define
class Mutations:
    """Makes malformed inputs; the same for the same random numbers."""

    random: Random
    author: Identity = attrs.field(init=False)
    _makers: list[Make] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.author = Identity.from_seed(self.random.randbytes(32))
        self._makers = [self.noise, self.mutilated_document, self.signed_nonsense]

    def mutilate(self, data: bytes) -> bytes:
        """Change some bytes: flip, cut, double, or put in what isn't expected."""
        random, changed = self.random, bytearray(data)
        for _ in range(random.choice((1, 1, 1, 2, 5, 20))):
            at = random.randrange(len(changed) + 1)
            match random.randrange(5):
                case 0 if at < len(changed):
                    changed[at] ^= 1 << random.randrange(8)
                case 1 if at < len(changed):
                    changed[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF))
                case 2:
                    del changed[at : at + random.randrange(20)]
                case 3:
                    changed[at:at] = random.randbytes(random.randrange(9))
                case _:
                    changed[at:at] = changed[at : at + random.randrange(40)]
        return bytes(changed)

    def noise(self) -> bytes:
        """Return random bytes, mostly few."""
        return self.random.randbytes(int(self.random.paretovariate(0.5)) % 2100)

    # -- STUN

    def datagram(self) -> bytes:
        """Return a datagram that is no good Binding request, or hardly one."""
        return self.noise() if self.random.random() < 0.2 else self.mutilate(self._message())

    def _message(self) -> bytes:
        random = self.random
        attributes: dict[str, Any] = {
            "CHANGE_REQUEST": random.randrange(8),
            "RESPONSE_PORT": random.randrange(65536),
            "PADDING": bytes(random.randrange(64) * 4),
            "USERNAME": "a:b",
            "PRIORITY": 5,
            "XOR_MAPPED_ADDRESS": (HOSTILE, 9),
            "ERROR_CODE": (420, "no"),
            "LIFETIME": 600,
        }
        names = random.sample(sorted(attributes), random.choice((0, 0, 1, 1, 2, 8)))
        request = stun.request(random.randbytes(12), **{name: attributes[name] for name in names})
        kind = random.choice((*[stun.MessageClass.REQUEST] * 5, *stun.MessageClass))
        method = random.choice((stun.BINDING, stun.BINDING, random.randrange(1 << 12)))
        message = attrs.evolve(request, message_class=kind, method=method)
        key = random.choice((None, None, b"key"))
        data = stun.encode(message, key, fingerprint=random.random() < 0.3)
        return data if random.random() < 0.8 else data[:4] + random.randbytes(4) + data[8:]

    # -- documents

    def body(self) -> bytes:
        """Return a body that is no good document."""
        return self.random.choice(self._makers)()[:MOST_BYTES]

    def mutilated_document(self) -> bytes:
        """Return a signed document with something changed."""
        bodies = (
            Registration("fuzz", "nat", (("192.0.2.1", 5),), keys=(RecordKey("enc", "x", "k"),)),
            Sealed(bytes(64)),
            *(Removal(), Subscription()),
        )
        name = self.random.randbytes(8).hex()
        body = self.random.choice(bodies)
        return self.mutilate(
            sign_document(self.author, ORIGIN, body, time.time(), name).encode("ascii")
        )

    def signed_nonsense(self) -> bytes:
        """Return what is signed as it should be, and isn't a document; or its header isn't one."""
        key = {"kty": "OKP", "crv": "Ed25519", "x": encode_bytes(self.author.public_key)}
        header = json.dumps({"alg": "EdDSA", "typ": "p2pchat+jws", "jwk": key}).encode()
        if self.random.random() < 0.2:
            header = self.mutilate(header)
        signed = f"{encode_bytes(header)}.{encode_bytes(self._nonsense())}"
        return f"{signed}.{encode_bytes(self.author.sign(signed.encode()))}".encode("ascii")

    def _nonsense(self) -> bytes:
        random = self.random
        good: JsonObject = {
            "v": 2,
            "type": random.choice(("registration", "offer", "removal", "x")),
            "iss": self.author.peer_id,
            "aud": ORIGIN,
            "iat": time.time(),
            "jti": random.randbytes(8).hex(),
            "username": "fuzz",
            "addresses": [],
        }
        deep = b"[" * random.randrange(5000)
        values: tuple[Any, ...] = (
            None,
            -1,
            1e308,
            "",
            "\ud800",
            [],
            {},
            True,
            "x" * 5000,
            [[]],
            2**70,
            deep.decode(),
        )
        good[random.choice(sorted(good))] = random.choice(values)
        written = json.dumps(good).encode()
        kind = random.randrange(8)
        if kind < 4:
            return self.mutilate(written)
        return (written, deep, written[:-1] + b',"v":2}', b'{"a":' + deep)[kind - 4]

    def request(self) -> bytes:
        """Return a whole request: good HTTP around a bad body, or a bad header around none."""
        name = self.author.peer_id if self.random.random() < 0.8 else self.random.randbytes(6).hex()
        body = self.body()
        if self.random.random() < 0.8:
            path = self.random.choice(("/register", f"/deliver/{name}"))
            head = f"POST {path} HTTP/1.1\r\nHost: {SERVER}:{HTTP_PORT}\r\n"
            kind = f"Content-Type: application/jose\r\nContent-Length: {len(body)}\r\n\r\n"
            return (head + kind).encode("ascii") + body
        verb, path = self.random.choice((("DELETE", "peer"), ("GET", "events")))
        if path == "events":
            name = OTHER  # its own would open a stream, where the document came out whole
        head = f"{verb} /{path}/{name} HTTP/1.1\r\nHost: {SERVER}:{HTTP_PORT}\r\n"
        printable = re.sub(rb"[^ -~\x80-\xff]", b"", body)[:4000]
        return head.encode("ascii") + b"Authorization: JWS " + printable + b"\r\n\r\n"


@attrs.define
class Web:
    """A kept connection to the registry, from one address."""

    source: str
    answers: Counter[str] = attrs.field(factory=Counter)
    _socket: socket.socket | None = None
    _buffer: bytes = b""

    def ask(self, requests: list[bytes]) -> list[tuple[int, bytes]]:
        """Send requests one behind the other; return status and body of each answer."""
        if self._socket is None:
            source = (self.source, 0)
            self._socket = socket.create_connection((SERVER, HTTP_PORT), TIMEOUT, source)
        self._socket.sendall(b"".join(requests))
        answers = [self._answer(self._socket) for _ in requests]
        for status, body in answers:
            reason = re.search(rb"/problems/([a-z0-9-]+)", body)
            self.answers[f"{status} {reason[1].decode() if reason else ''}".strip()] += 1
        return answers

    def _answer(self, connection: socket.socket) -> tuple[int, bytes]:
        while b"\r\n\r\n" not in self._buffer:
            self._receive(connection)
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        assert length is not None, head
        self._buffer = rest
        while len(self._buffer) < int(length[1]):
            self._receive(connection)
        body, self._buffer = self._buffer[: int(length[1])], self._buffer[int(length[1]) :]
        if re.search(rb"(?i)\r\nconnection: close", head):
            raise AssertionError(f"the registry ended the connection: {head!r}")
        return int(head.split()[1]), body

    def _receive(self, connection: socket.socket) -> None:
        data = connection.recv(65536)
        if not data:
            raise AssertionError("the registry closed the connection")
        self._buffer += data


@attrs.define
class Honest:
    """A peer that means well, from an address of its own."""

    identity: Identity
    web: Web = attrs.field(init=False, factory=lambda: Web(HONEST))
    took: list[float] = attrs.field(init=False, factory=list)
    _udp: socket.socket = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((HONEST, 0))
        self._udp.settimeout(TIMEOUT)

    def ask_for_address(self) -> None:
        """Send a Binding request, which must be answered."""
        began = time.monotonic()
        request = stun.request(began.hex().encode()[:12].ljust(12))
        self._udp.sendto(stun.encode(request, fingerprint=True), (SERVER, STUN_PORT))
        answer = stun.decode(self._udp.recv(2048))
        assert answer.transaction_id == request.transaction_id, "the answer to another request"
        assert stun.mapped_address(answer) == self._udp.getsockname()
        self.took.append(time.monotonic() - began)

    def register(self) -> None:
        """Register, and look ourselves up."""
        began = time.monotonic()
        me, now = self.identity, time.time()
        body = Registration("honest")
        token = sign_document(me, ORIGIN, body, now, time.monotonic().hex()).encode("ascii")
        host = f"Host: {SERVER}:{HTTP_PORT}\r\n"
        post = f"POST /register HTTP/1.1\r\n{host}Content-Type: application/jose\r\n"
        get = f"GET /peer/{me.peer_id} HTTP/1.1\r\n{host}\r\n"
        requests = [
            f"{post}Content-Length: {len(token)}\r\n\r\n".encode("ascii") + token,
            get.encode("ascii"),
        ]
        for status, answer in self.web.ask(requests):
            assert status == 200, answer
        self.took.append(time.monotonic() - began)

    def status(self) -> JsonObject:
        """Return the registry's counts."""
        [(_, body)] = self.web.ask(
            [f"GET /status HTTP/1.1\r\nHost: {SERVER}:{HTTP_PORT}\r\n\r\n".encode("ascii")]
        )
        found: JsonObject = json.loads(body)
        return found


@attrs.define
class Process:
    """The registry under test."""

    log: Path
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        twistd = Path(sys.executable).with_name("twistd")
        command = [str(twistd), "-n", "--pidfile=", f"--logfile={self.log}", "p2psignal"]
        listen = f"--listen=tcp:{HTTP_PORT}:interface={SERVER}"
        stun_options = [f"--stun={STUN_PORT}", f"--address={SERVER}", f"--second-address={SECOND}"]
        self._process = subprocess.Popen([*command, listen, *stun_options, *UNLIMITED])
        for _ in range(200):
            try:
                socket.create_connection((SERVER, HTTP_PORT), 1).close()
            except ConnectionRefusedError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"the registry doesn't start: {self.log.read_text()}")

    def memory(self) -> float:
        """Return the resident memory, in MiB."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text("ascii")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(TIMEOUT)


@attrs.define
class Run:
    """One run, and what it saw."""

    process: Process
    mutations: Mutations
    honest: Honest
    sent: Counter[str] = attrs.field(factory=Counter)
    hostile: Web = attrs.field(init=False, factory=lambda: Web(HOSTILE))
    _sockets: list[socket.socket] = attrs.field(init=False, factory=list)

    def open_sockets(self) -> None:
        """Open what datagrams are sent from."""
        for _ in range(8):
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sender.bind((HOSTILE, 0))
            sender.setblocking(False)
            self._sockets.append(sender)

    def datagrams(self) -> None:
        """Send a burst of datagrams, and see that an honest request behind them is answered."""
        for number in range(BURST):
            target = (SERVER, STUN_PORT + number % 2)
            self._sockets[number % 8].sendto(self.mutations.datagram(), target)
        self.sent["datagrams"] += BURST
        self.honest.ask_for_address()
        self._drain()

    def _drain(self) -> None:
        for sender in self._sockets:
            try:
                while True:
                    sender.recv(4096)
            except BlockingIOError:
                pass

    def requests(self) -> None:
        """Send some bodies, and see that an honest registration between them is taken."""
        self.hostile.ask([self.mutations.request() for _ in range(PIPELINE)])
        self.sent["requests"] += PIPELINE
        if self.sent["requests"] % (10 * PIPELINE) == 0:
            self.honest.register()

    def go(self, count: int) -> Iterator[float]:
        """Send so many inputs; yields the share that was sent, now and then."""
        wanted = int(count * HTTP_SHARE)
        for number in range(1, 1001):
            while self.sent["requests"] < wanted * number / 1000:
                self.requests()
            while self.sent["datagrams"] < (count - wanted) * number / 1000:
                self.datagrams()
            yield number / 1000

    def faults(self, grown: float) -> list[str]:
        """Return what went wrong, in words."""
        read = sum(self.honest.status()["stun"].values()) - self.honest_requests
        log = self.process.log.read_text("utf-8", "replace")
        possible = {
            f"grew by {grown:.1f} MiB": grown > GROWTH,
            f"only {read} datagrams were read": read < 0.99 * self.sent["datagrams"],
            "an answer had status 500": any(one.startswith("500") for one in self.hostile.answers),
            f"the log has a traceback: {log[-2000:]}": "Traceback" in log,
        }
        return [what for what, happened in possible.items() if happened]

    @property
    def honest_requests(self) -> int:
        """How many Binding requests were honest."""
        return self.sent["datagrams"] // BURST


def main() -> int:
    """Run, report, and return 0 if all went well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="inputs in all")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = Random().randrange(1 << 32) if options.seed is None else options.seed
    print(
        f"seed {seed}: python -m benchmarks.fuzz --count {options.count} --seed {seed}", flush=True
    )
    with tempfile.TemporaryDirectory() as folder:
        process = Process(Path(folder) / "log")
        honest = Honest(Identity.from_seed(bytes(32)))
        run = Run(process, Mutations(Random(seed)), honest)
        try:
            process.start()
            return fuzz(run, options.count)
        finally:
            process.stop()


def fuzz(run: Run, count: int) -> int:
    """Send everything, and say what came of it."""
    began = time.monotonic()
    run.open_sockets()
    memory: list[tuple[float, float]] = [(0.0, run.process.memory())]
    for share in run.go(count):
        if share == WARM or share * 4 % 1 == 0:
            memory.append((share, run.process.memory()))
    warm, end = dict(memory)[WARM], memory[-1][1]
    spent = time.monotonic() - began
    print(f"{run.sent['datagrams']:,} datagrams and {run.sent['requests']:,} requests", end=" ")
    print(f"in {spent:.0f} s")
    counts = run.hostile.answers.most_common()
    print("answers: " + ", ".join(f"{what}: {number:,}" for what, number in counts))
    print(f"STUN: {run.honest.status()['stun']}")
    took = [1000 * one for one in run.honest.took]
    print(f"honest requests: {len(took):,}, all answered; ", end="")
    print(f"milliseconds, median {median(took):.2f}, longest {max(took):.1f}")
    print("MiB resident: " + ", ".join(f"{mib:.1f} at {share:.0%}" for share, mib in memory))
    print(f"growth since {WARM:.0%}: {end - warm:+.1f} MiB, {GROWTH} allowed")
    faults = run.faults(end - warm)
    for fault in faults:
        print(f"FAULT: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
