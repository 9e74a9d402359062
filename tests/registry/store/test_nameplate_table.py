"""The table of nameplates: its limits, and that nothing is left of what has gone."""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.store import nameplate_table
from p2pchat.registry.store.nameplate_table import Nameplate, NameplateOutcome, NameplateTable


def plate(name: str, owner: str = "alice", source: str = "s") -> Nameplate:
    """Return a nameplate."""
    return Nameplate(name, owner, source, "http://r.test:80", "A")


class LimitTests(SynchronousTestCase):
    """However many are wanted."""

    def claim(self, table: NameplateTable, count: int, **whose: Any) -> list[NameplateOutcome]:
        """Claim so many."""
        start = len(table)
        return [table.claim(plate(str(start + one), **whose), 100.0, 0.0) for one in range(count)]

    def test_peer_and_source(self) -> None:
        """A peer has 16, and an address 256."""
        table = NameplateTable()
        most = nameplate_table.MAX_OF_PEER
        self.assertEqual(set(self.claim(table, most)), {NameplateOutcome.DONE})
        self.assertEqual(self.claim(table, 1), [NameplateOutcome.TOO_MANY])
        for number in range(1, nameplate_table.MAX_OF_SOURCE // most):
            self.claim(table, most, owner=f"peer {number}")
        self.assertEqual(self.claim(table, 1, owner="another"), [NameplateOutcome.TOO_MANY])
        self.assertEqual(self.claim(table, 1, owner="another", source="t"), [NameplateOutcome.DONE])

    def test_capacity(self) -> None:
        """In all there are as many as there is room for; what expires makes room."""
        table = NameplateTable(2)
        wanted = [NameplateOutcome.DONE, NameplateOutcome.DONE, NameplateOutcome.FULL]
        self.assertEqual(self.claim(table, 3), wanted)
        self.assertIs(table.claim(plate("x"), 300.0, 100.0), NameplateOutcome.DONE)
        self.assertEqual(len(table), 1)


class TableMachine(RuleBasedStateMachine):
    """Anybody does anything, at any time; a dictionary says what there should be."""

    looked = 0  # how often, in all runs

    def __init__(self) -> None:
        super().__init__()
        self.table, self.now = NameplateTable(5), 0.0
        self.ends: dict[str, tuple[str, float]] = {}
        self.numbers = count()

    def alive(self) -> dict[str, str]:
        """Return who has which nameplates now."""
        return {name: who for name, (who, until) in self.ends.items() if until > self.now}

    @rule(name=st.sampled_from("abcdefg"), owner=st.sampled_from("xy"), left=st.integers(1, 9))
    def claim(self, name: str, owner: str, left: int) -> None:
        """Claim one."""
        alive = self.alive()
        outcome = self.table.claim(plate(name, owner), self.now + left, self.now)
        if name in alive:
            wanted = NameplateOutcome.DONE if alive[name] == owner else NameplateOutcome.TAKEN
        else:
            wanted = NameplateOutcome.FULL if len(alive) >= 5 else NameplateOutcome.DONE
            if wanted is NameplateOutcome.DONE:
                self.ends[name] = owner, self.now + left
        assert outcome is wanted

    @rule(name=st.sampled_from("abcdefg"), owner=st.sampled_from("xy"))
    def release(self, name: str, owner: str) -> None:
        """Take one away."""
        alive = self.alive()
        outcome = self.table.release(name, owner, self.now)
        if name not in alive:
            assert outcome is NameplateOutcome.UNKNOWN
        elif alive[name] != owner:
            assert outcome is NameplateOutcome.NOT_YOURS
        else:
            assert outcome is NameplateOutcome.DONE
            del self.ends[name]

    @rule(seconds=st.integers(1, 5))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.now += seconds
        self.table.expire(self.now)

    @invariant()
    def agrees(self) -> None:
        """The table has what the dictionary has."""
        assert len(self.table) <= 5
        TableMachine.looked += 1
        for name in "abcdefg":
            found = self.table.find(name, self.now)
            assert (None if found is None else found[0].owner) == self.alive().get(name)


class AnyOrderTests(SynchronousTestCase):
    """In any order."""

    def test_any_order(self) -> None:
        """What is there is what should be, after each step."""
        steps = settings(max_examples=30, stateful_step_count=30, deadline=None)
        run_state_machine_as_test(TableMachine, settings=steps)
        self.assertGreater(TableMachine.looked, 0)
