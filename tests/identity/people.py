"""Identities that are the same in every run."""

from __future__ import annotations

from p2pchat.identity.keys import Identity
from p2pchat.identity.sealing import SealingKey


def identity(number: int) -> Identity:
    """Return one of many identities, always the same for a number."""
    return Identity.from_seed(number.to_bytes(32, "big"))


def sealing_key(of: Identity) -> SealingKey:
    """Return the key that others seal to, always the same for an identity."""
    return SealingKey.from_seed(of.public_key)


ALICE, BOB, CAROL = identity(1), identity(2), identity(3)
