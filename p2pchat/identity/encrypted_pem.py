"""
Private keys in PEM that a passphrase opens.

::

    EncryptedPrivateKeyInfo (RFC 5958), in PEM "ENCRYPTED PRIVATE KEY"
        PBES2 (RFC 8018 section 6.2)
            scrypt (RFC 7914 section 7)     salt of 16 bytes, N = COST, r = 8, p = 1
            AES-256 in CBC mode             IV of 16 bytes
        the key as PKCS#8

The library reads this form but doesn't write it: what it writes for PKCS#8 is PBKDF2 with 2,048
rounds, a third of a millisecond for each guess of whoever has the file.  With COST a guess takes
128 MiB and, on a machine of 2026, a third of a second.  What is encrypted under a derived secret of
256 bits, which nobody guesses, may well be in the library's form
(:func:`p2pchat.identity.keys.to_pem`).

CBC proves nothing: a wrong passphrase is known by what comes out, which isn't a key; of damage
another key may come.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7

COST = 2**17  # N of scrypt; with r = 8 128 MiB, as OWASP's advice on storing passwords has it
_BLOCK_SIZE, _PARALLEL = 8, 1  # r and p
_SALT, _IV, _KEY = 16, 16, 32  # bytes
_BLOCK = 128  # bits, of AES

_INTEGER, _OCTETS, _OBJECT, _SEQUENCE = 0x02, 0x04, 0x06, 0x30  # tags of DER
_PBES2 = bytes.fromhex("2a864886f70d01050d")  # 1.2.840.113549.1.5.13
_SCRYPT = bytes.fromhex("2b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11
_AES256_CBC = bytes.fromhex("60864801650304012a")  # 2.16.840.1.101.3.4.1.42


def encrypt(
    pkcs8: bytes, passphrase: bytes, random_bytes: Callable[[int], bytes], cost: int = COST
) -> bytes:
    """
    Return a private key as PEM that the passphrase opens.

    :param pkcs8: the key in DER.
    :param cost: N of scrypt, a power of two.
    """
    salt, iv = random_bytes(_SALT), random_bytes(_IV)
    kdf = Scrypt(salt=salt, length=_KEY, n=cost, r=_BLOCK_SIZE, p=_PARALLEL)
    encryptor = Cipher(AES256(kdf.derive(passphrase)), CBC(iv)).encryptor()
    padder = PKCS7(_BLOCK).padder()
    padded = padder.update(pkcs8) + padder.finalize()
    ciphertext = encryptor.update(padded) + encryptor.finalize()
    numbers = [_number(one) for one in (cost, _BLOCK_SIZE, _PARALLEL)]
    scrypt = _der(_SEQUENCE, _der(_OBJECT, _SCRYPT), _der(_SEQUENCE, _der(_OCTETS, salt), *numbers))
    cipher = _der(_SEQUENCE, _der(_OBJECT, _AES256_CBC), _der(_OCTETS, iv))
    pbes2 = _der(_SEQUENCE, _der(_OBJECT, _PBES2), _der(_SEQUENCE, scrypt, cipher))
    body = b64encode(_der(_SEQUENCE, pbes2, _der(_OCTETS, ciphertext)))
    label = b"ENCRYPTED PRIVATE KEY"
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label, _lines(body), label)


def _lines(text: bytes) -> bytes:
    """Break base64 after 64 characters (RFC 7468 section 2)."""
    return b"".join(text[at : at + 64] + b"\n" for at in range(0, len(text), 64))


def _der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(size)]) + size + content


def _number(value: int) -> bytes:
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1))  # the first bit is the sign
