"""What the documentation says of streams is what the program does."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session import byte_streams, receive_window, service_stream, streams
from p2pchat.wire import service_names
from tests.pages import page


class StreamNumberTests(SynchronousTestCase):
    """Numbers of the protocol's pages."""

    def test_streams(self) -> None:
        """Those of streams of services, and of the windows of all."""
        text = " ".join(page("protocol").split())
        for sentence in (
            f"two round trips, or {receive_window.QUICK} seconds if",
            f"name of a service: {service_names.MAX_SERVICE} characters",
            f"Either side may write {service_stream.WINDOW:,} of them",
            f"of a link together grow by {byte_streams.MAX_GROWTH:,} bytes",
            f"A side has {byte_streams.MAX_OPEN} of them open",
            f"takes {byte_streams.MAX_IN_ALL:,} of all peers",
            f"as {byte_streams.REFUSED_WORK} more if it is refused",
            f"nobody decides on, for {byte_streams.HALF_OPEN:g} seconds",
            f"of all peers; {byte_streams.HALF_OPEN:g} seconds for an opening, "
            f"{byte_streams.UNANSWERED:g} for its answer",
            f"later up to {streams.MAX_WINDOW:,}, and {byte_streams.MAX_GROWTH:,} more",
        ):
            self.assertIn(sentence, text)
