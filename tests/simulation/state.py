"""A state directory of somebody in a world: keys, contacts and a database on a real disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import attrs

from p2pchat.identity.keys import peer_id_octets
from p2pchat.peer.profile import Profile, load_profile
from p2pchat.peer.state_directory import StateDirectory
from p2pchat.peer.storage.database import DATABASE_FILE, DatabaseFile, Synchronous
from p2pchat.peer.storage.message_store import SqliteStore
from p2pchat.peer.storage.open_database import OpenDatabase
from tests.peer.storage.fake_connections import ImmediateConnections, SlowConnections
from tests.simulation.host import Host
from tests.simulation.world import Person, World


@attrs.define(eq=False)
class State:
    """
    The directory, and the connections of the program that uses it now.

    :ivar delay: seconds that the disk takes for the next commit; ``None``: none ever does.
    :ivar writing: may be held, or have no room.
    """

    name: str
    path: Path
    delay: Callable[[], float] | None = None
    profile: Profile = attrs.field(init=False)
    writing: ImmediateConnections = attrs.field(init=False)
    reading: ImmediateConnections = attrs.field(init=False)

    def start(self, world: World, host: Host | None = None, **settings: Any) -> Person:
        """Start a program in this directory, as after a reboot."""
        directory = StateDirectory.open(str(self.path))
        random_bytes = Random(self.name).randbytes
        self.profile = load_profile(directory, random_bytes, synchronous=Synchronous.OFF)
        directory.close()
        file = DatabaseFile(self.path / DATABASE_FILE, Synchronous.OFF)
        self.writing, self.reading = self._connections(world, file), ImmediateConnections(file)
        own = peer_id_octets(self.profile.identity.peer_id)
        database = OpenDatabase(file, self.writing, self.reading, world.internet.clock)
        store = SqliteStore(database, own)
        self.profile.keep_in(database, random_bytes)
        host = host or world.internet.host()
        return world.start_on(host, self.name, self.profile, store=store, **settings)

    def _connections(self, world: World, file: DatabaseFile) -> ImmediateConnections:
        if self.delay is None:
            return ImmediateConnections(file)
        return SlowConnections(file, world.internet.clock, self.delay)

    def kill(self, person: Person) -> None:
        """End the program as ``kill -9`` does: it says nothing and writes nothing."""
        person.host.kill()
        self.writing.close()
        self.reading.close()

    def history(self) -> list[tuple[str, str]]:
        """Return ids and texts of lines as they are on the disk, in order."""
        connection = DatabaseFile(self.path / DATABASE_FILE).connect()
        try:
            return connection.execute(
                "SELECT hex(name) || '-' || entry.number, text FROM entry JOIN log "
                "ON log.id = entry.log WHERE state <> 3 AND kind NOT IN ('edit', 'delete') "
                "ORDER BY lamport, author, name, entry.number"
            ).fetchall()
        finally:
            connection.close()
