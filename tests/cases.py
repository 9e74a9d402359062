"""Several cases of one test, each with a ``setUp`` and an id of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any


class each:
    """
    Make a test of each case, a value or a tuple of arguments::

        @each(("udp", 3478), ("tcp", 3479))
        def test_relay(self, transport: str, port: int) -> None:

    They are called ``test_relay_0``, ``test_relay_1`` and so on.
    """

    def __init__(self, *cases: object) -> None:
        self._cases = cases
        self._test: Callable[..., None]

    def __call__(self, test: Callable[..., None]) -> Any:
        """Take the test."""
        self._test = test
        return self

    def __set_name__(self, owner: type, name: str) -> None:
        """Put the cases where the test stands."""
        delattr(owner, name)
        for number, case in enumerate(self._cases):
            setattr(owner, f"{name}_{number}", _with(self._test, case))


def _with(test: Callable[..., None], case: object) -> Callable[[Any], None]:
    arguments = case if isinstance(case, tuple) else (case,)

    @wraps(test)
    def run(self: Any) -> None:
        test(self, *arguments)

    return run
