"""Private keys that a passphrase opens."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError, PassphraseNeeded, WrongPassphrase
from p2pchat.identity.encrypted_pem import COST
from p2pchat.identity.keys import Identity
from tests.identity.people import ALICE

CHEAP = 2  # N of scrypt, for what nobody attacks
# What `openssl pkcs8 -topk8 -scrypt -scrypt_N 16` made of Ed25519's private key of 32 zero bytes.
FROM_OPENSSL = b"""-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGSME4GCSqGSIb3DQEFDTBBMCAGCSsGAQQB2kcECzATBAgwU5B0cBDccQIBEAIB
CAIBATAdBglghkgBZQMEASoEEH+Wqu7jCkyKd/iPE7IADygEQHLxlBJ1EJP85vgj
yHJntZlzsivwjw/lUHiV0gYIkmhvcvzB2VI9CApI5NokUwNla+ngi8MX9rLKPZ7d
gYyqTro=
-----END ENCRYPTED PRIVATE KEY-----
"""


class EncryptedPemTests(SynchronousTestCase):
    """Alice's key under a passphrase."""

    def setUp(self) -> None:
        self.random = Random(1)

    def encrypted(self, passphrase: bytes, cost: int = CHEAP) -> bytes:
        """Return it."""
        return ALICE.encrypted(passphrase, self.random.randbytes, cost)

    def test_opened(self) -> None:
        """The library reads what was written, whatever the passphrase."""
        for passphrase in (b"x", b"correct horse", "käse".encode(), b"\0\xff", bytes(1000)):
            again = Identity.from_pem(self.encrypted(passphrase), passphrase)
            self.assertEqual(again.peer_id, ALICE.peer_id)

    def test_costs(self) -> None:
        """Every cost is written as the library reads it, the first bit of a byte set or not."""
        for exponent in range(1, 11):
            pem = self.encrypted(b"secret", 2**exponent)
            self.assertEqual(Identity.from_pem(pem, b"secret").peer_id, ALICE.peer_id)

    def test_usual_cost(self) -> None:
        """The usual cost is one that the library takes."""
        pem = self.encrypted(b"secret", COST)
        self.assertEqual(Identity.from_pem(pem, b"secret").peer_id, ALICE.peer_id)

    def test_form(self) -> None:
        """It is PEM with lines of 64, without the key in clear, and another one each time."""
        pem = self.encrypted(b"secret")
        first, *lines, last = pem.decode().splitlines()
        self.assertEqual(first, "-----BEGIN ENCRYPTED PRIVATE KEY-----")
        self.assertEqual(last, "-----END ENCRYPTED PRIVATE KEY-----")
        self.assertEqual({len(line) for line in lines[:-1]}, {64})
        self.assertNotEqual(self.encrypted(b"secret"), pem)

    def test_other_program(self) -> None:
        """A key that another program has encrypted is read."""
        identity = Identity.from_pem(FROM_OPENSSL, b"secret")
        self.assertEqual(identity.peer_id, Identity.from_seed(bytes(32)).peer_id)

    def test_refused(self) -> None:
        """Without its passphrase, or with another one, nothing is read; each is said."""
        pem = self.encrypted(b"secret")
        self.assertRaises(PassphraseNeeded, Identity.from_pem, pem)
        for wrong in (b"", b"Secret", b"secret\n"):
            self.assertRaises(WrongPassphrase, Identity.from_pem, pem, wrong)
        for number in range(300):
            self.assertRaises(WrongPassphrase, Identity.from_pem, pem, b"%d" % number)

    def test_damaged(self) -> None:
        """Of a damaged file comes a key or the error that a person reads, and nothing else."""
        pem = self.encrypted(b"secret")
        refused = 0
        for at in range(len(pem)):
            damaged = pem[:at] + bytes([pem[at] ^ 1]) + pem[at + 1 :]
            try:
                Identity.from_pem(damaged, b"secret")
            except ConfigurationError:
                refused += 1
        self.assertGreater(refused, len(pem) / 2)
