"""
Identity: keys, and what is signed with them.

::

    keys               Ed25519 keys, and the peer ids that they make
    encrypted_pem      private keys that a passphrase opens
    signed_documents   signing and checking documents (JWS), and whether a reader accepts them
    nonces             used nonces, against replay
    exchange           key agreement of an attempt, for its connectivity checks
    sealing            sealing what a peer writes to another (HPKE)
    prekeys            keys to which others seal what waits for us
    prekey_ring        our own ones, from week to week
    envelopes          what waits for us: signed inside, and sealed
    registry_lists     where somebody is found: signed lists, of which the newest counts
    entry_signatures   signatures of what is said in conversations
    pairing            keys of two who share an invitation (SPAKE2)
    proof              proof of identity inside a link, and throw-away certificates for TLS

Pure: randomness and time are arguments.  Keys and exchanges are the ``cryptography`` library's,
signatures are checked by libsodium (PyNaCl).
"""
