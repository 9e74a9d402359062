"""
What a million peers online would take: memory, requests a second, processes, and work for Redis.

A model, not a measurement: unit costs that were measured, multiplied.  Each input is an option,
whose default is in :class:`Inputs` with where it is from.  The table has a column for each lease,
because the lease decides most of it: a peer renews at a third of it, with a token, and every
REGISTER_AGAIN seconds registers instead.

Assumed: peers spread evenly over processes and time; each keeps its event stream all the while;
whoever calls looks somebody up once and both sides send documents; processes are planned to be
busy for a share of their time, so that some may fail while their peers come back to the others.
TLS isn't in it: the load balancer's.

Run ``python -m benchmarks.million [--peers N] [--leases 60,300,900] [...]``; the table is
reStructuredText, as docs/capacity.rst has it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from math import ceil

import attrs

from p2pchat.peer.lease import REGISTER_AGAIN
from p2pchat.peer.registry_connection import RENEWALS
from p2pchat.registry.http.connections import IDLE_DEADLINE

DAY = 86_400.0  # seconds
NONCE_LIFE = 310.0  # seconds that the name of a document is remembered that was used at once
MICRO = 1e-6
KIB, MIB, GIB = 1024, 1024**2, 1024**3


@attrs.frozen
class Inputs:
    """
    What is assumed, and what was measured.

    :ivar peers: online at the same time.
    :ivar arrivals: how often a day a peer comes, or comes back after its network changed.
    :ivar calls: how often a day a peer calls another.
    :ivar documents: that a call sends through the registry, both sides together.
    :ivar busy: share of its core that a process may use in ordinary times.
    :ivar most_streams: that one process is given; TCP ports to one balancer, and patience when
        it stops, speak for no more.
    :ivar register: microseconds of a core for a registration, signature and store included;
        ``benchmarks.costs`` measures this and all that follow but the kernel's.
    :ivar renew: microseconds for the renewal of a lease.
    :ivar subscribe: microseconds to open an event stream and to end it, connection included.
    :ivar deliver: microseconds to pass a document on to a stream of the same process.
    :ivar look_up: microseconds to show a record.
    :ivar connect: microseconds to begin and end a connection for requests.
    :ivar hold: microseconds a second to hold an event stream, keepalives included.
    :ivar process: MiB of a process that nobody uses.
    :ivar stream: KiB of a process for an event stream.
    :ivar connection: KiB of a process for a connection that waits for the next request.
    :ivar kernel: KiB of the kernel for a connection with empty buffers; assumed.
    :ivar redis_record: bytes of Redis for a record, its place in the lists, and its stream.
    :ivar redis_nonce: bytes of Redis for a document that was used.
    :ivar redis_script: microseconds of Redis for one script, the mean of those that there are
        with a lease of 60 seconds; each request above is one, a subscription two.
    """

    peers: int = 1_000_000
    arrivals: float = 6.0
    calls: float = 10.0
    documents: float = 8.0
    busy: float = 0.5
    most_streams: int = 15_000
    register: float = 192.0
    renew: float = 79.0
    subscribe: float = 506.0
    deliver: float = 241.0
    look_up: float = 90.0
    connect: float = 69.0
    hold: float = 4.7
    process: float = 62.0
    stream: float = 14.2
    connection: float = 1.7
    kernel: float = 4.0
    redis_record: float = 2294.0
    redis_nonce: float = 201.0
    redis_script: float = 14.0


@attrs.frozen
class Load:
    """
    What so many peers ask for, with leases of one length.

    :ivar lease: seconds.
    """

    inputs: Inputs
    lease: float

    @property
    def again(self) -> float:
        """Registrations instead of a renewal, a second: at the first one that is late enough."""
        rhythm = self.lease / RENEWALS
        return self.inputs.peers / (rhythm * ceil(REGISTER_AGAIN / rhythm))

    @property
    def renewals(self) -> float:
        """Renewals a second."""
        return self.inputs.peers * RENEWALS / self.lease - self.again

    @property
    def arrivals(self) -> float:
        """Registrations with a new event stream, a second."""
        return self.inputs.peers * self.inputs.arrivals / DAY

    @property
    def calls(self) -> float:
        """Calls a second, each with one look-up."""
        return self.inputs.peers * self.inputs.calls / DAY

    @property
    def deliveries(self) -> float:
        """Documents passed on, a second."""
        return self.calls * self.inputs.documents

    @property
    def requests(self) -> float:
        """Requests a second."""
        return self.renewals + self.again + 2 * self.arrivals + self.calls + self.deliveries

    @property
    def dialled(self) -> float:
        """Connections for requests that are begun, a second; a call keeps its own to the end."""
        if self.keeps_connections:
            return self.arrivals
        return self.renewals + self.again + self.arrivals + self.calls

    @property
    def cores(self) -> float:
        """Cores that the processes are busy with."""
        inputs = self.inputs
        return MICRO * (
            self.renewals * inputs.renew
            + self.again * inputs.register
            + self.arrivals * (inputs.register + inputs.subscribe)
            + self.calls * inputs.look_up
            + self.deliveries * inputs.deliver
            + self.dialled * inputs.connect
            + inputs.peers * inputs.hold
        )

    @property
    def processes(self) -> int:
        """Processes, each with a core: for the work, or to hold the streams."""
        inputs = self.inputs
        return max(ceil(self.cores / inputs.busy), ceil(inputs.peers / inputs.most_streams))

    @property
    def keeps_connections(self) -> bool:
        """Whether a peer's connection for requests lasts from one renewal to the next."""
        return self.lease / RENEWALS < IDLE_DEADLINE

    @property
    def connections(self) -> int:
        """Connections of a peer: its stream, and one for requests if it is kept in between."""
        return 2 if self.keeps_connections else 1

    @property
    def connections_of_each(self) -> float:
        """Connections of a process."""
        return self.connections * self.inputs.peers / self.processes

    @property
    def process_memory(self) -> float:
        """Bytes of one process, the kernel's for its connections included."""
        inputs = self.inputs
        kept = (self.connections - 1) * inputs.connection
        each = inputs.stream + kept + self.connections * inputs.kernel
        return inputs.process * MIB + inputs.peers / self.processes * each * KIB

    @property
    def redis_memory(self) -> float:
        """Bytes of Redis."""
        inputs = self.inputs
        used = self.again + 2 * self.arrivals + self.deliveries  # a renewal is no document
        return inputs.peers * inputs.redis_record + used * NONCE_LIFE * inputs.redis_nonce

    @property
    def scripts(self) -> float:
        """Scripts that Redis runs, a second."""
        return self.requests + self.arrivals  # a stream that ends is one too

    @property
    def redis_cores(self) -> float:
        """Cores that Redis would be busy with; one server has one."""
        return self.scripts * self.inputs.redis_script * MICRO

    @property
    def return_time(self) -> float:
        """Seconds until the peers of a process that died are back, at the idle share of others."""
        inputs, others = self.inputs, self.processes - 1
        each = inputs.connect + inputs.register + inputs.subscribe
        work = inputs.peers / self.processes * each * MICRO
        spare = others - self.cores
        return work / spare if spare > 0 else float("inf")


def rows(loads: list[Load]) -> list[tuple[str, list[str]]]:
    """Return the rows of the table: a name, and a value for each lease."""
    return [
        ("lease", [f"{one.lease:.0f} s" for one in loads]),
        ("renewals a second", [f"{one.renewals:,.0f}" for one in loads]),
        ("registrations instead of them", [f"{one.again:,.0f}" for one in loads]),
        ("arrivals: two requests each", [f"{2 * one.arrivals:,.0f}" for one in loads]),
        ("look-ups a second", [f"{one.calls:,.0f}" for one in loads]),
        ("documents passed on a second", [f"{one.deliveries:,.0f}" for one in loads]),
        ("requests a second, in all", [f"{one.requests:,.0f}" for one in loads]),
        ("cores busy", [f"{one.cores:,.1f}" for one in loads]),
        ("processes", [f"{one.processes:,}" for one in loads]),
        ("connections of each", [f"{one.connections_of_each:,.0f}" for one in loads]),
        ("memory of each", [f"{one.process_memory / MIB:,.0f} MiB" for one in loads]),
        (
            "memory of all",
            [f"{one.processes * one.process_memory / GIB:,.0f} GiB" for one in loads],
        ),
        ("Redis: memory", [f"{one.redis_memory / GIB:,.1f} GiB" for one in loads]),
        ("Redis: scripts a second", [f"{one.scripts:,.0f}" for one in loads]),
        ("Redis: cores", [f"{one.redis_cores:,.1f}" for one in loads]),
        ("one process dies: all back after", [f"{one.return_time:,.1f} s" for one in loads]),
    ]


def table(inputs: Inputs, leases: Iterable[float]) -> str:
    """Return the table, as reStructuredText."""
    first, *others = rows([Load(inputs, lease) for lease in leases])
    widths = [34, *(10 for _ in first[1])]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join(text.ljust(width) for text, width in zip([name, *values], widths, strict=True))
        for name, values in (first, *others)
    ]
    return "\n".join(line.rstrip() for line in (rule, lines[0], rule, *lines[1:], rule)) + "\n"


def main() -> None:
    """Print the table for the options given."""
    parser = argparse.ArgumentParser(description="What so many peers online would take.")
    parser.add_argument("--leases", default="60,300,900", help="seconds, with commas")
    for field in attrs.fields(Inputs):
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(name, type=type(field.default), default=field.default)
    given = vars(parser.parse_args())
    leases = [float(one) for one in given.pop("leases").split(",")]
    print(table(Inputs(**given), leases), end="")


if __name__ == "__main__":
    main()
