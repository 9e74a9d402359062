"""Two contacts in the simulated internet, who keep what is said over restarts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation.state import State
from tests.simulation.world import Person, World


class ContactsCase(SynchronousTestCase):
    """
    Alice and Bob, registered.

    :cvar is_bob_listed: whether Bob is shown in lists.
    """

    is_bob_listed: ClassVar[bool] = True

    def setUp(self) -> None:
        self.world = World(1)
        self.alices = State("alice", Path(self.mktemp()))
        self.bobs = State("bob", Path(self.mktemp()))
        self.alice = self.start(self.alices)
        self.bob = self.start(self.bobs, listed=self.is_bob_listed)
        self.world.settle(self.alice, self.bob)
        self.alice.profile.contacts.keep(self.bob.node.peer_id, "Bob")
        self.bob.profile.contacts.keep(self.alice.node.peer_id, "Alice")

    def start(self, state: State, **settings: Any) -> Person:
        """Start somebody."""
        person = state.start(self.world, **settings)
        self.addCleanup(lambda: state.kill(person))
        return person
