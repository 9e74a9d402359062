"""
schemathesis tries to find where the running registry does what its description doesn't say.

All its checks, all its phases: what is valid is accepted, what isn't is refused, links from a
registration to the peer, its event stream, deliveries to it and its removal are followed.  Some
peers are online throughout, so that deliveries succeed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path
from threading import Thread

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from p2pchat.identity.keys import Identity
from p2pchat.wire.documents import Registration, Subscription
from p2pchat.wire.origins import origin
from tests.openapi.signing import HOSTS, sign
from tests.registry.process import RegistryProcess, running_registry

ROOT = Path(__file__).parent.parent.parent
PROGRAM = Path(sys.executable).with_name("schemathesis")
UNLIMITED = (
    *("--rate=0", "--key-rate=0", "--read-rate=0", "--watch-rate=0", "--unsolicited-rate=0"),
    *("--nameplate-rate=0", "--presence-rate=0", "--mailbox-rate=0", "--deposit-rate=0"),
    "--work-from=0",
)
DEADLINE = 240.0  # seconds; it takes about 90
SEED = 20261130  # the same cases each time, so that a failure is the change's; another finds others


@contextmanager
def online(registry: RegistryProcess, identity: Identity) -> Iterator[None]:
    """Hold a record and an event stream."""
    audience = origin(registry.url)
    connection = registry.connect()
    kind = {"Content-Type": "application/jose"}
    body = sign(identity, audience, Registration("host"))
    connection.request("POST", "/register", body, kind)
    connection.getresponse().read()
    headers = {"Authorization": f"JWS {sign(identity, audience, Subscription())}"}
    connection.request("GET", f"/events/{identity.peer_id}", headers=headers)
    response = connection.getresponse()
    assert response.status == 200, response.read()
    reading = Thread(target=_read_on, args=(response,))
    reading.start()
    yield
    reading.join()
    connection.close()


def _read_on(response: object) -> None:
    try:
        while response.readline():  # type: ignore[attr-defined]
            pass
    except (OSError, HTTPException):
        pass  # the registry was killed


class SchemathesisTests(SynchronousTestCase):
    """The description is true."""

    def test_description(self) -> None:
        """schemathesis finds nothing; meanwhile it delivered, subscribed, renewed and removed."""
        if not PROGRAM.exists():
            raise SkipTest("needs schemathesis: pip install -e '.[openapi]'")
        with running_registry(
            "--lease=86400", "--mailbox", *UNLIMITED, patience=DEADLINE
        ) as registry:
            with ExitStack() as stack:
                for host in HOSTS:
                    stack.enter_context(online(registry, host))
                said = self.run_schemathesis(registry)
                status = json.loads(registry.ask("/status")[1])
                metrics = registry.ask("/metrics")[1].decode("ascii")
                registry.terminate()
            registry.wait()
        self.assertIn("No issues found", said)
        for figure in ("deliveries", "peers_online"):
            self.assertGreater(status[figure], 0, status)
        self.assertIn('method="POST",route="/renew/{peer_id}",status="204"', metrics)
        for word in ("claimed", "responded", "completed", "released"):
            self.assertIn(f'p2psignal_nameplates_total{{outcome="{word}"}}', metrics)
        for word in ("published", "allowed", "given", "kept", "fetched", "acknowledged"):
            self.assertIn(f'p2psignal_mail_total{{outcome="{word}"}}', metrics)

    def run_schemathesis(self, registry: RegistryProcess) -> str:
        """Run it to its end, and return what it says."""
        config = shutil.copy(Path(__file__).with_name("schemathesis.toml"), self.mktemp())
        environment = {
            **os.environ,
            "SCHEMATHESIS_HOOKS": "tests.openapi.hooks",
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [
                *(PROGRAM, "--config-file", config),
                *("run", f"{registry.url}/openapi.json", f"--seed={SEED}"),
            ],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout
