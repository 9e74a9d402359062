"""Somebody who reads and writes on streams of services, by hand."""

from __future__ import annotations

import attrs

from p2pchat.session.service_stream import ServiceStream, StreamEnd, StreamState


@attrs.define(eq=False)
class Reader:
    """
    What one side saw of a stream.

    :ivar data: what was read.
    :ivar is_paused: whether nothing is read.
    :ivar echoes: whether what is read is written.
    """

    stream: ServiceStream
    data: bytearray = attrs.Factory(bytearray)
    is_paused: bool = False
    echoes: bool = False

    def look(self) -> None:
        """Look at it, because it was stirred."""
        if not self.is_paused:
            read = self.stream.read()
            self.data += read
            if self.echoes:
                self.stream.write(read)
                if self.stream.has_all:
                    self.stream.finish()


@attrs.define(eq=False)
class Program:
    """
    Looks at all streams of one side.

    :ivar granted: services that others may open.
    :ivar pauses: whether nothing is read of new streams.
    :ivar echoes: whether what is read of new streams of others is written.
    """

    granted: set[str] = attrs.Factory(set)
    pauses: bool = False
    echoes: bool = False
    readers: dict[ServiceStream, Reader] = attrs.Factory(dict)

    def look(self, stream: ServiceStream) -> None:
        """Look at one, because it was stirred."""
        if stream not in self.readers:
            echoes = self.echoes and not stream.is_ours
            self.readers[stream] = Reader(stream, is_paused=self.pauses, echoes=echoes)
        if stream.state is StreamState.ASKED:
            if stream.service in self.granted:
                stream.accept()
            else:
                stream.refuse()
        self.readers[stream].look()

    def data(self, stream: ServiceStream) -> bytes:
        """Return what was read of one."""
        return bytes(self.readers[stream].data)

    def theirs(self) -> list[ServiceStream]:
        """Return those that the other side opened, in order."""
        return [one for one in self.readers if not one.is_ours]

    def ends(self) -> list[StreamEnd | None]:
        """Return how those that the other side opened have ended."""
        return [one.end for one in self.theirs()]
