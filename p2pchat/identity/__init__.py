"""
Who somebody is: Ed25519 keys, peer ids, signed documents, proofs of identity.

Pure: randomness and time are arguments.  Keys and exchanges are the ``cryptography`` library's,
signatures are checked by libsodium (PyNaCl).
"""
