"""
Who somebody is: Ed25519 keys, peer ids, signed documents, proofs of identity.

Pure: randomness and time are arguments.  Cryptography is the ``cryptography`` library's, JWS is
PyJWT's.
"""
