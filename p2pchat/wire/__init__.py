"""
Bytes and JSON to frozen values and back.

Pure: no I/O, no clock, no randomness.  A decoder raises only
:class:`p2pchat.errors.RemoteProtocolError`, whatever the bytes; an encoder raises
:class:`p2pchat.errors.LocalProtocolError` for values that can't be written.
"""
