"""Proxies of the lab: nothing else leads out, and they do, by names that only they can look up."""

from __future__ import annotations

import sys
import time

from tests.lab.case import LabTestCase
from tests.lab.conversation import RELAYED, await_path, connect, exchange, hear, say
from tests.lab.names import Names
from tests.lab.peers import JsonPeer
from tests.lab.probe import Probe
from tests.lab.proxies import (
    HTTP_PORT,
    HTTP_PROXY,
    SOCKS_PORT,
    SOCKS_PROXY,
    HttpProxy,
    Proxy,
    SocksProxy,
)

NAME, PORT = "shop.lab", 8080
CREDENTIALS = ("user", "secret")
GREETING = "hello from outside"
AWAY = 10.0  # seconds without the proxy
BACK_LIMIT = 60.0  # seconds

SERVE = f"""\
import socket
listening = socket.create_server(("", {PORT}))
print("ready", flush=True)
while True:
    client, _ = listening.accept()
    client.sendall(b"{GREETING}")
    client.close()
"""

#: Prints the first bytes that come through a tunnel, or how it was refused.
CONNECT = """\
import base64, socket, sys
proxy, port, name, to, login = sys.argv[1:]
s = socket.create_connection((proxy, int(port)), 5)
lines = [f"CONNECT {name}:{to} HTTP/1.1", f"Host: {name}:{to}"]
if login:
    lines.append("Proxy-Authorization: Basic " + base64.b64encode(login.encode()).decode())
s.sendall(("\\r\\n".join(lines) + "\\r\\n\\r\\n").encode())
stream = s.makefile("rb")
status = stream.readline().split()[1].decode()
while stream.readline().strip():
    pass
print(stream.read(100).decode() if status == "200" else status)
"""
SOCKS = """\
import socket, sys
proxy, port, name, to, login = sys.argv[1:]
s = socket.create_connection((proxy, int(port)), 5)
stream = s.makefile("rb")
s.sendall(b"\\5\\1" + (b"\\2" if login else b"\\0"))
method = stream.read(2)[1]
if method == 2:
    user, secret = (part.encode() for part in login.split(":"))
    s.sendall(b"\\1" + bytes([len(user)]) + user + bytes([len(secret)]) + secret)
    if stream.read(2)[1]:
        sys.exit("refused")
elif method:
    sys.exit("refused")
s.sendall(b"\\5\\1\\0\\3" + bytes([len(name)]) + name.encode() + int(to).to_bytes(2, "big"))
answer = stream.read(10)
print(stream.read(100).decode() if answer[1] == 0 else f"code {answer[1]}")
"""


class ProxyTests(LabTestCase):
    """A left host whose box lets out proxies alone."""

    def setUp(self) -> None:
        self.lab = self.build_lab("port-restricted")
        server = self.lab.server.popen([sys.executable, "-c", SERVE], stdout=-1, text=True)
        assert server.stdout is not None
        self.addCleanup(server.stdout.close)
        self.assertEqual(server.stdout.readline(), "ready\n")
        self.nat = self.lab.left.nat[0]
        self.box, self.inside = self.nat.machine(), self.lab.left.attachments[0].gateway
        names = Names(self.box, {NAME: [self.lab.server.address]})
        self.addCleanup(names.close)
        names.start()
        names.serve(self.box, "127.0.0.1")
        self.nat.let_out_only_proxies()

    def start(self, proxy: HttpProxy | SocksProxy) -> None:
        """Start a proxy that ends with the test."""
        self.addCleanup(proxy.close)
        proxy.start()

    def ask(self, program: str, proxy: Proxy, port: int, *, login: str = "") -> str:
        """Let the left host run a client; return what it prints."""
        words = [proxy.address, str(port), NAME, str(PORT), login]
        return self.lab.left.run([sys.executable, "-I", "-S", "-c", program, *words], 10).strip()

    def test_nothing_else(self) -> None:
        """Neither UDP nor TCP leaves the network by itself."""
        outside = Probe.open(self.lab.server, self.lab.server.address)
        Probe.open(self.lab.left).send((outside.address, outside.port))
        self.assertIsNone(outside.receive())
        words = ["-c", f"import socket; socket.create_connection(('{outside.address}', {PORT}), 1)"]
        self.assertIn("TimeoutError", self.lab.left.run([sys.executable, *words], 10))

    def test_http(self) -> None:
        """An HTTP proxy connects whoever knows the password, to ports that it allows."""
        self.require(HTTP_PROXY)
        proxy = HttpProxy(self.box, self.inside, CREDENTIALS)
        self.start(proxy)
        self.assertEqual(proxy.url, "http://user:secret@192.168.10.1:3128")
        self.assertEqual(self.ask(CONNECT, proxy, HTTP_PORT, login="user:secret"), GREETING)
        self.assertEqual(self.ask(CONNECT, proxy, HTTP_PORT), "407")
        proxy.close()
        strict = HttpProxy(self.box, self.inside, ports=(443,))
        self.start(strict)
        self.assertEqual(self.ask(CONNECT, strict, HTTP_PORT), "403")

    def test_socks(self) -> None:
        """A SOCKS5 proxy connects everybody, or whoever knows the password."""
        self.require(SOCKS_PROXY)
        proxy = SocksProxy(self.box, self.inside)
        self.start(proxy)
        self.assertEqual(proxy.url, "socks5h://192.168.10.1:1080")
        self.assertEqual(self.ask(SOCKS, proxy, SOCKS_PORT), GREETING)
        proxy.close()
        strict = SocksProxy(self.box, self.inside, CREDENTIALS)
        self.start(strict)
        self.assertEqual(self.ask(SOCKS, strict, SOCKS_PORT, login="user:secret"), GREETING)
        self.assertEqual(self.ask(SOCKS, strict, SOCKS_PORT), "refused")


class ProxiedPeersTests(LabTestCase):
    """A peer whose box lets out proxies alone, and one behind a NAT."""

    def setUp(self) -> None:
        self.lab = self.build_lab("port-restricted", "port-restricted")
        nat = self.lab.left.nat[0]
        nat.let_out_only_proxies()
        self.box, self.inside = nat.machine(), self.lab.left.attachments[0].gateway

    def talk(self, proxy: HttpProxy | SocksProxy, transport: str) -> tuple[JsonPeer, JsonPeer]:
        """Let the two talk over a relay of this transport, which the proxy leads to."""
        self.addCleanup(proxy.close)
        proxy.start()
        registry = self.start_registry(self.lab, self.start_relay(self.lab, (transport,)))
        alice = self.start_peer(self.lab.left, "alice", registry.url, "--proxy", proxy.url)
        bob = self.start_peer(self.lab.right, "bob", registry.url)
        for peer in (alice, bob):
            peer.wait_for("registered")
        connect(alice, bob)
        lines = exchange(alice, bob)
        self.assertEqual(await_path(alice, RELAYED), RELAYED)
        self.assertEqual((alice.texts(), bob.texts()), (lines, lines))
        return alice, bob

    def outlive(self, proxy: HttpProxy | SocksProxy, transport: str) -> None:
        """Let them talk, and go on after the proxy was away."""
        alice, bob = self.talk(proxy, transport)
        proxy.kill()
        for peer, other in ((alice, bob), (bob, alice)):
            peer.send(f"/to {other.username}")
            say(peer, ["meanwhile"])
        time.sleep(AWAY)
        proxy.start()
        began = time.monotonic()
        hear(alice, bob, ["meanwhile"], BACK_LIMIT)
        hear(bob, alice, ["meanwhile"], BACK_LIMIT)
        print(f"back {time.monotonic() - began:.2f} s after the proxy")
        alice.wait_for("registered", BACK_LIMIT)

    def test_http_dies(self) -> None:
        """Nothing is lost while tinyproxy is away, and the conversation goes on after it."""
        self.require(HTTP_PROXY)
        self.outlive(HttpProxy(self.box, self.inside), "tls")

    def test_socks_dies(self) -> None:
        """The same of microsocks."""
        self.require(SOCKS_PROXY)
        self.outlive(SocksProxy(self.box, self.inside), "tcp")

    def test_http(self) -> None:
        """Through tinyproxy, with a password, and a relay over TLS."""
        self.require(HTTP_PROXY)
        self.talk(HttpProxy(self.box, self.inside, CREDENTIALS), "tls")

    def test_socks(self) -> None:
        """Through microsocks, and a relay over TCP."""
        self.require(SOCKS_PROXY)
        self.talk(SocksProxy(self.box, self.inside), "tcp")
