"""Usernames that may be used, for tests that draw their values."""

from __future__ import annotations

from hypothesis import strategies as st

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.usernames import MAX_USERNAME, check_username


def is_username(name: str) -> bool:
    """Tell whether a peer may call itself so."""
    try:
        return check_username(name) == name
    except RemoteProtocolError:
        return False


usernames = st.text("ghklmnpéß山田🦊'._- 0123456789ab", min_size=1, max_size=MAX_USERNAME).filter(
    is_username
)
