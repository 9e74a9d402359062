"""
The service of ``p2ppipe``: its forwards, and what is told of them.

A forward that can't begin ends the program with status 1.  One from ``stdio:`` has one connection,
and ends the program with it: with status 1 where that failed or was broken.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure

from p2pchat.errors import P2PChatError
from p2pchat.forwarding.endpoint_strings import (
    client_endpoint,
    is_exposed,
    server_endpoint,
    shown_address,
)
from p2pchat.forwarding.forward import (
    MAX_CONNECTIONS,
    Forward,
    ForwardClosed,
    ForwardEvent,
    ForwardFailed,
    ForwardOpened,
)
from p2pchat.peer.failures import in_words
from p2pchat.tap.p2ppipe import STDIO
from p2pchat.tap.stdio_service import StdioService
from p2pchat.ui import json_form
from p2pchat.wire.visible import visible

STOP_DEADLINE = 5.0  # seconds that endpoints may take to stop


@attrs.define(eq=False, slots=False, kw_only=True)
class PipeService(StdioService):
    """
    The forwards of one program.

    :ivar pairs: strings of endpoints, to listen at and to connect to.
    :ivar json: whether events go to stdout; else sentences go to stderr.
    """

    pairs: tuple[tuple[str, str], ...]
    json: bool = False
    _forwards: list[Forward] = attrs.Factory(list)

    def begin(self) -> None:
        """Listen at all of them."""
        for pair in self.pairs:
            listen, connect = pair
            forward = Forward(
                server_endpoint(self.runtime.reactor, listen),
                client_endpoint(self.runtime.reactor, connect),
                partial(self._report, pair),
            )
            self._forwards.append(forward)
            starting = forward.start()
            starting.addCallbacks(partial(self._listening, pair), partial(self._fail, listen))

    def stopService(self) -> Deferred[Any]:
        """Stop them, within STOP_DEADLINE."""
        super().stopService()
        forwards, self._forwards = self._forwards, []
        stopped: Deferred[Any] = gatherResults(
            [maybeDeferred(one.stop) for one in forwards], consumeErrors=True
        )
        stopped.addTimeout(STOP_DEADLINE, self.runtime.clock, lambda _result, _deadline: None)
        return stopped.addErrback(lambda _failure: None)

    def _listening(self, pair: tuple[str, str], port: Any) -> None:
        listen, connect = pair
        get_host = getattr(port, "getHost", None)
        address = None if listen == STDIO or get_host is None else get_host()
        where = listen if address is None else shown_address(address)
        is_open = address is not None and is_exposed(address)
        warning = "; other machines can reach it" if is_open else ""
        self._say(
            "listening",
            f"listening at {visible(where)}, for {visible(connect)}{warning}",
            address=where,
            exposed=is_open,
            listen=listen,
            connect=connect,
        )

    def _report(self, pair: tuple[str, str], event: ForwardEvent) -> None:
        ends = {"listen": pair[0], "connect": pair[1]}
        source = shown_address(event.source)
        match event:
            case ForwardOpened(number):
                ends |= {"number": number, "source": source}  # type: ignore[dict-item]
                self._say("opened", f"connection {number} from {source} to {pair[1]}", **ends)
            case ForwardClosed(number, sent=sent, received=received):
                reason = _words(event.reason)
                counts = f"{sent:,} bytes sent, {received:,} received"
                broken = f"; it broke: {reason}" if reason else ""
                self._say(
                    "closed",
                    f"connection {number} has ended: {counts}{broken}",
                    **ends,
                    number=number,
                    source=source,
                    sent=sent,
                    received=received,
                    reason=reason,
                )
                self._end_stdio(pair, reason)
            case ForwardFailed(reason=why):
                reason = _words(why) or f"{MAX_CONNECTIONS} connections are open already"
                sentence = f"{pair[1]} can't be reached for {source}: {reason}"
                self._say("failed", sentence, **ends, source=source, reason=reason)
                self._end_stdio(pair, reason)

    def _end_stdio(self, pair: tuple[str, str], reason: str) -> None:
        if pair[0] == STDIO:
            if reason:
                self.process.set_exit_status(1)
            self.leave()

    def _fail(self, listen: str, failure: Failure) -> None:
        if self.running:
            error = failure.value
            if isinstance(error, CannotListenError):
                error = error.socketError
            why = _words(error) or visible(str(error))
            self.fail(f"can't listen at {visible(listen)}: {why}; choose another --listen")

    def _say(self, name: str, sentence: str, **fields: object) -> None:
        if self.json:
            text = json_form.encode(name, self.runtime.wall_time(), fields)
            output = self.process.stdout
        else:
            text, output = f"{self.process.program}: {sentence}.\n", self.process.stderr
        try:
            output.write(text)
            output.flush()
        except OSError:  # nobody reads it any more
            if self.json:
                self.leave()


def _words(error: BaseException | None) -> str:
    """Return why something failed, with what explains it; "" for nothing."""
    if error is None:
        return ""
    explanation = error.explanation if hasattr(error, "explanation") else ()
    first = in_words(error, str(error) if isinstance(error, P2PChatError) else repr(error))
    return ". ".join([first, *explanation])
