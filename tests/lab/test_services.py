"""
Programs that know nothing of NATs reach each other through two real ones, by `p2p:` and `p2pchat`.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path
from typing import IO

from tests.lab.peers import PATIENCE, TWISTD, fetch
from tests.lab.service_side import P2PCHAT
from tests.lab.services_case import ServicesTestCase
from tests.lab.ssh_server import PORT, SSHD, start_sshd

MEGABYTES = 100  # of the file that is copied
LINES, PAUSE = 40, 0.5  # of a session, and seconds between them

LINE_SERVER = """
import sys
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver

class Answer(LineReceiver):
    def lineReceived(self, line):
        self.sendLine(self.transport.getPeer().host.encode() + b" says " + line)

port = serverFromString(reactor, "p2p:line:allow=contacts").listen(Factory.forProtocol(Answer))
port.addCallback(lambda _: print("listening", flush=True))
reactor.run()
"""

LINE_CLIENT = """
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.task import react
from twisted.internet.defer import Deferred
from twisted.protocols.basic import LineReceiver

class Ask(LineReceiver):
    def __init__(self):
        self.answer = Deferred()
    def connectionMade(self):
        self.sendLine(b"hello")
    def lineReceived(self, line):
        self.answer.callback(line)

async def main(reactor):
    ask = await connectProtocol(clientFromString(reactor, "p2p:alice:line"), Ask())
    print((await ask.answer).decode())

react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
"""

OBJECT_SERVER = """
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.protocols.amp import AMP, Command, Integer
from twisted.internet.protocol import Factory
from twisted.spread import pb

class Sum(Command):
    arguments = [(b"a", Integer()), (b"b", Integer())]
    response = [(b"total", Integer())]

class Adder(AMP):
    @Sum.responder
    def sum(self, a, b):
        return {"total": a + b}

class Greeter(pb.Root):
    def remote_greet(self, name):
        return f"hello {name}"

serverFromString(reactor, "p2p:sum:allow=contacts").listen(Factory.forProtocol(Adder))
port = serverFromString(reactor, "p2p:pb:allow=contacts").listen(pb.PBServerFactory(Greeter()))
port.addCallback(lambda _: print("listening", flush=True))
reactor.run()
"""

OBJECT_CLIENT = """
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.task import react
from twisted.protocols.amp import AMP, Command, Integer
from twisted.spread import pb

class Sum(Command):
    arguments = [(b"a", Integer()), (b"b", Integer())]
    response = [(b"total", Integer())]

async def main(reactor):
    amp = await connectProtocol(clientFromString(reactor, "p2p:alice:sum"), AMP())
    print((await amp.callRemote(Sum, a=2, b=40))["total"])
    factory = pb.PBClientFactory()
    await clientFromString(reactor, "p2p:alice:pb").connect(factory)
    root = await factory.getRootObject()
    print(await root.callRemote("greet", "bob"))

react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
"""

ASGI = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"you are " + scope["client"][0].encode()})
"""

KLEIN = """
from klein import Klein
app = Klein()

@app.route("/")
def home(request):
    return "klein greets " + request.transport.getPeer().host

resource = app.resource
"""


class ServicesTests(ServicesTestCase):
    """Alice offers, Bob reaches; both are contacts, behind port-restricted NATs."""

    def test_ssh(self) -> None:
        """An `ssh` runs a command, `scp` carries a large file both ways, and `git` clones."""
        words = self.ssh()
        self.assertEqual(self.bob.do("ssh", *words, "alice", "echo from $((6*7))"), "from 42\n")
        data = os.urandom(1_000_000) * MEGABYTES
        Path(self.bob.path("large")).write_bytes(data)
        target = f"alice:{self.alice.path('copy')}"
        self.bob.do("scp", *words, self.bob.path("large"), target, timeout=300)
        self.bob.do("scp", *words, target, self.bob.path("back"), timeout=300)
        wanted = hashlib.sha256(data).digest()
        for path in (self.alice.path("copy"), self.bob.path("back")):
            self.assertEqual(hashlib.sha256(Path(path).read_bytes()).digest(), wanted, path)
        self.clone(words)

    def clone(self, words: list[str]) -> None:
        """Let Bob clone a repository of Alice's."""
        repository = self.alice.path("project")
        identity = ("-c", "user.name=alice", "-c", "user.email=alice@example.org")
        self.alice.do("git", "init", "-q", repository)
        Path(repository, "file").write_text("of a repository\n")
        self.alice.do("git", "-C", repository, "add", "file")
        self.alice.do("git", "-C", repository, *identity, "commit", "-q", "-m", "A file")
        ssh = f"core.sshCommand=ssh {' '.join(words)}"
        self.bob.do("git", "-c", ssh, "clone", "-q", f"alice:{repository}", self.bob.path("clone"))
        self.assertEqual(Path(self.bob.path("clone", "file")).read_text(), "of a repository\n")

    def test_session(self) -> None:
        """A session goes on while both NATs reboot: every line comes, once and in order."""
        words = self.ssh()
        loop = f"for n in $(seq {LINES}); do echo line $n; sleep {PAUSE}; done"
        session = self.bob.begin(["ssh", *words, "alice", loop])
        assert session.stdout is not None
        said = [session.stdout.readline() for _ in range(5)]
        self.lab.reboot_nats()
        said += session.stdout.readlines()
        self.assertEqual(said, [f"line {n}\n" for n in range(1, LINES + 1)])
        self.assertEqual(session.wait(PATIENCE), 0)

    def test_terminal(self) -> None:
        """What is typed into a shell on a terminal is answered, after both NATs rebooted too."""
        shell = self.bob.begin(["ssh", "-tt", *self.ssh(), "alice", "PS1= sh"])
        assert shell.stdin is not None and shell.stdout is not None
        for n in range(3):
            shell.stdin.write(f"echo the answer is $((6*7+{n}))\n")
            answer = f"the answer is {42 + n}"
            self.assertIn(answer, [line.strip() for line in self.until(shell.stdout, answer)])
            self.lab.reboot_nats()
        shell.stdin.write("exit 3\n")
        self.assertEqual(shell.wait(PATIENCE), 3)

    def until(self, lines: IO[str], wanted: str) -> list[str]:
        """Read lines until one is what is wanted, or there are no more."""
        said = []
        for line in lines:
            said.append(line)
            if line.strip() == wanted:
                break
        return said

    def test_revoked(self) -> None:
        """What a grant let in ends at once when it is revoked, and can't be opened again."""
        self.require(SSHD)
        words = ["-F", start_sshd(self.alice, self.bob)]
        sharing = (P2PCHAT, "share", str(PORT), "--as", "ssh", "--with", "bob", "--for", "1h")
        self.alice.start(*sharing, awaits="for bob")
        session = self.bob.begin(["ssh", *words, "alice", "echo here; sleep 60"])
        assert session.stdout is not None
        self.assertEqual(session.stdout.readline(), "here\n")
        self.alice.do(P2PCHAT, "revoke", "ssh", "bob")
        began = time.monotonic()
        self.assertNotEqual(session.wait(PATIENCE), 0)
        self.assertLess(time.monotonic() - began, 10.0)
        with self.assertRaisesRegex(AssertionError, "isn't granted"):
            self.bob.do(P2PCHAT, "pipe", "alice:ssh")

    def test_web(self) -> None:
        """`twistd web`, Klein and an ASGI application by daphne are reached by a port of Bob's."""
        os.makedirs(self.alice.path("site"))
        self.write(self.alice, "site/index.html", "from a folder")
        self.write(self.alice, "greeting.py", KLEIN)
        self.write(self.alice, "application.py", ASGI)
        folder = ("web", "--listen", "p2p:web:allow=contacts", "--path", self.alice.path("site"))
        self.alice.start(TWISTD, "-n", "--pidfile=", *folder, awaits="Starting factory")
        greeting = ("web", "--listen", "p2p:klein:allow=contacts", "--class=greeting.resource")
        self.alice.start(TWISTD, "-n", "--pidfile=", *greeting, awaits="Starting factory")
        daphne = str(Path(sys.executable).with_name("daphne"))
        endpoint = "p2p:dj:allow=contacts"
        self.alice.start(daphne, "-e", endpoint, "application:app", awaits="Listening on")
        for port, (service, wanted) in enumerate(
            (
                ("web", "from a folder"),
                ("klein", f"klein greets {self.bob_id}"),
                ("dj", f"you are {self.bob_id}"),
            ),
            8080,
        ):
            page = fetch(self.bob.host, self.open_port(service, port))
            self.assertEqual(page.strip(), wanted)

    def test_protocols(self) -> None:
        """A protocol of one's own, AMP and Perspective Broker pass by endpoint strings alone."""
        python = sys.executable
        self.alice.start(
            python, self.write(self.alice, "lines.py", LINE_SERVER), awaits="listening"
        )
        answer = self.bob.do(python, self.write(self.bob, "ask.py", LINE_CLIENT))
        self.assertEqual(answer, f"{self.bob_id} says hello\n")
        self.alice.start(
            python, self.write(self.alice, "objects.py", OBJECT_SERVER), awaits="listening"
        )
        answer = self.bob.do(python, self.write(self.bob, "call.py", OBJECT_CLIENT))
        self.assertEqual(answer, "42\nhello bob\n")

    def test_conch(self) -> None:
        """`twistd conch` listens at a person, not a port; real `ssh` is refused as a stranger."""
        self.require("ssh")
        port = "p2p:ssh:allow=contacts"
        self.alice.do(
            "ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", self.alice.path("ssh_host_rsa_key")
        )
        server = ("-n", "--pidfile=", "conch", "--port", port, "--data", self.alice.directory)
        self.alice.start(TWISTD, *server, "--auth", "unix", awaits="Starting factory")
        options = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
        proxy = ("-o", "ProxyCommand=p2pchat pipe alice:ssh", "-o", "BatchMode=yes", "-v")
        session = self.bob.begin(
            ["sh", "-c", 'exec ssh "$@" 2>&1', "-", *options, *proxy, "x@alice", "true"]
        )
        assert session.stdout is not None
        said = session.stdout.read()
        self.assertIn("remote software version Twisted", said)
        self.assertIn("Permission denied", said)  # nobody of that name; the whole exchange was had
