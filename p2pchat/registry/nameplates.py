"""
Nameplates at the registry: where two who share an invitation meet.

::

    claim         of a registered peer: the nameplate is its own for some time
    look          of anybody who knows the name
    respond       of anybody who does: once, without a record
    complete      of the owner, once there is a response
    release       of the owner

Owns what may be asked, by whom and how often; what is exchanged is no business of the registry's
(:mod:`p2pchat.identity.pairing`).  Whoever names a nameplate that isn't there spends one of the few
tokens that its address has for that, so that the short names of spoken invitations aren't found by
trying; whoever knows a name spends none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import attrs
from twisted.internet.defer import Deferred

from p2pchat.errors import RemoteProtocolError
from p2pchat.interfaces import IRegistryStore
from p2pchat.registry.admission.control import AdmissionControl
from p2pchat.registry.admission.rates import source_of
from p2pchat.registry.metrics import Metrics
from p2pchat.registry.refusals import refused
from p2pchat.registry.store.nameplate_table import Nameplate, NameplateOutcome
from p2pchat.wire.base64url import decode_bytes, encode_bytes
from p2pchat.wire.documents import Body, Document
from p2pchat.wire.invitations import is_spoken
from p2pchat.wire.nameplates import (
    LONGEST_SPOKEN,
    Claim,
    Completion,
    NameplateState,
    PakeResponse,
    Release,
)
from p2pchat.wire.strict_json import JsonObject, dumps, loads

RETRY_AFTER = 60  # seconds, for whoever has too many: an invitation of its own may end meanwhile

UNKNOWN = refused(
    404,
    "unknown-nameplate",
    "there is no such invitation: it was used, taken back or has expired, or was mistyped",
)
_REFUSALS = {
    NameplateOutcome.UNREGISTERED: refused(403, "not-registered", "register first, then invite"),
    NameplateOutcome.TAKEN: refused(
        409, "nameplate-taken", "somebody has this nameplate: choose another"
    ),
    NameplateOutcome.TOO_MANY: refused(
        429,
        "too-many-nameplates",
        "too many open invitations of yours, or of your address: take one back",
        RETRY_AFTER,
    ),
    NameplateOutcome.FULL: refused(
        503, "nameplates-full", "this registry has no room for another invitation", RETRY_AFTER
    ),
    NameplateOutcome.NOT_YOURS: refused(403, "not-yours", "that nameplate is somebody else's"),
    NameplateOutcome.USED: refused(409, "nameplate-used", "that invitation was used already"),
    NameplateOutcome.UNANSWERED: refused(
        409, "nameplate-unanswered", "nobody has joined there yet"
    ),
}

ReadDocument = Callable[[str, type[Body], frozenset[str]], Document]


@attrs.define(eq=False)
class Nameplates:
    """
    The nameplates of one process.

    :ivar read: reads a document and checks all that needs no store.
    """

    _store: IRegistryStore
    _admission: AdmissionControl
    _metrics: Metrics
    _read: ReadDocument

    def claim(
        self, token: str, name: str, audiences: frozenset[str], ip: str
    ) -> Deferred[JsonObject]:
        """Give a nameplate to the author of a claim, who knows the registry by its audience."""
        document = self._read(token, Claim, audiences)
        claim = cast(Claim, document.body)
        _check_name(claim.nameplate, name)
        if is_spoken(name) and claim.lifetime > LONGEST_SPOKEN:
            raise RemoteProtocolError(f"a spoken invitation lasts {LONGEST_SPOKEN} seconds at most")
        message, source = encode_bytes(claim.message), source_of(ip)
        wanted = Nameplate(name, document.issuer, source, document.audience, message)
        done = self._store.claim(wanted, claim.lifetime, document)
        return done.addCallback(self._done, "claimed", document)

    def look(self, name: str, ip: str) -> Deferred[JsonObject]:
        """Return what stands at a nameplate."""
        self._admission.admit_guess(ip)
        return self._store.nameplate(name).addCallback(self._shown, ip)

    def _shown(self, found: tuple[Nameplate, float] | None, ip: str) -> JsonObject:
        if found is None:
            self._admission.count_guess(ip)
            raise UNKNOWN
        nameplate, left = found
        state = NameplateState(
            nameplate.origin,
            decode_bytes(nameplate.message),
            int(left),
            PakeResponse.from_json(_members(nameplate.response)) if nameplate.response else None,
            Completion.from_json(_members(nameplate.completion)) if nameplate.completion else None,
        )
        return state.to_json()

    def respond(self, response: PakeResponse, name: str, ip: str) -> Deferred[JsonObject]:
        """Write what a joiner leaves."""
        self._admission.admit_guess(ip)
        done = self._store.respond(name, dumps(response.to_json()).decode("ascii"))
        return done.addCallback(self._responded, ip)

    def _responded(self, outcome: NameplateOutcome, ip: str) -> JsonObject:
        if outcome is NameplateOutcome.UNKNOWN:
            self._admission.count_guess(ip)
        return self._done(outcome, "responded")

    def complete(self, token: str, name: str, audiences: frozenset[str]) -> Deferred[JsonObject]:
        """Write what the owner answers."""
        document = self._read(token, Completion, audiences)
        completion = cast(Completion, document.body)
        _check_name(completion.nameplate, name)
        written = dumps(completion.to_json()).decode("ascii")
        done = self._store.complete(name, written, document)
        return done.addCallback(self._done, "completed", document)

    def release(self, token: str, name: str, audiences: frozenset[str]) -> Deferred[JsonObject]:
        """Take a nameplate away."""
        document = self._read(token, Release, audiences)
        _check_name(cast(Release, document.body).nameplate, name)
        done = self._store.release(name, document)
        return done.addCallback(self._done, "released", document)

    def _done(
        self, outcome: NameplateOutcome, word: str, document: Document | None = None
    ) -> JsonObject:
        """
        Return the answer, and count what was done.

        :raises Refused: it wasn't.
        """
        if outcome is not NameplateOutcome.DONE:
            raise UNKNOWN if outcome is NameplateOutcome.UNKNOWN else _REFUSALS[outcome]
        if document is not None:
            self._admission.count_key(document.issuer)
        self._metrics.nameplate(word)
        return {word: True}


def _check_name(said: str, name: str) -> None:
    if said != name:
        raise RemoteProtocolError("the document is about another nameplate than the path")


def _members(text: str) -> JsonObject:
    return loads(text.encode("ascii"))
