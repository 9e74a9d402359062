"""
What schemathesis is told of p2pchat: how to make ids and documents, and how to sign.

It is loaded by schemathesis itself, which is named in SCHEMATHESIS_HOOKS.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import attrs
import schemathesis
from hypothesis import strategies as st
from requests import PreparedRequest
from requests.auth import AuthBase

from p2pchat.wire.documents import Body, RecordKey, Registration, Removal, Sealed, Subscription
from p2pchat.wire.mailbox import (
    DAY,
    PERMIT_SCHEME,
    PREKEY,
    TOKEN_SCHEME,
    MailAcknowledgement,
    MailboxTokens,
    MailFetch,
    PrekeyAnswer,
    Prekeys,
    credentials,
    token_hash,
)
from p2pchat.wire.nameplates import LONGEST_SPOKEN, Claim, Completion, Release
from p2pchat.wire.origins import origin
from tests.openapi.signing import GUESTS, HOSTS, OWN, PEOPLE, Wish, newcomer, sign
from tests.wire.names import usernames

LEASES: dict[str, str] = {}  # the renewals that registrations gave, by peer id
PERMITS: dict[str, bytes] = {}  # to leave mail, by peer id of the owner
TOKEN = b"t" * 32  # of all mailboxes

_word = st.text(st.characters(exclude_categories=["Cs"]), max_size=64)
_address = st.tuples(st.ip_addresses().map(str), st.integers(1, 65535))
_registrations = st.builds(
    Registration,
    usernames,
    st.just(""),
    st.lists(_address, max_size=2).map(tuple),
    keys=st.lists(st.builds(RecordKey, _word, _word, _word), max_size=4).map(tuple),
)
_for_peers: st.SearchStrategy[Body] = st.builds(Sealed, st.binary(max_size=2000))


def _wishes(authors: tuple[Any, ...], bodies: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    return st.builds(Wish, st.sampled_from(authors), bodies).map(str)


PLACES = ("a2b3c4d5e6f7g", "zzzzzzzzzzzzz", "123456")  # nameplates; fewer than a peer may have
_claims = st.builds(
    Claim, st.just(PLACES[0]), st.binary(min_size=33, max_size=33), st.integers(1, LONGEST_SPOKEN)
)
_completions = st.builds(
    Completion, st.just(PLACES[0]), st.just(bytes(32)) | st.just(b""), st.binary(max_size=200)
)
_prekeys = st.builds(
    Prekeys.of,
    st.binary(min_size=PREKEY, max_size=PREKEY),
    st.lists(st.binary(min_size=32, max_size=32), max_size=3),
    st.just(time.time() + 30 * DAY),
)
_tokens = st.just(MailboxTokens((token_hash(TOKEN),)))
_names = st.lists(st.binary(min_size=16, max_size=16), max_size=3).map(tuple)
_strangers = st.uuids().map(lambda one: f"{str(one)[:14]}8{str(one)[15:]}")
schemathesis.openapi.format("peer-id", st.one_of(st.sampled_from(sorted(PEOPLE)), _strangers))
schemathesis.openapi.format("registration", _wishes(GUESTS, _registrations))
schemathesis.openapi.format("nameplate", st.sampled_from(PLACES))
schemathesis.openapi.format("claim", _wishes(HOSTS[:1], _claims))
schemathesis.openapi.format("completion", _wishes(HOSTS[:1], _completions))
schemathesis.openapi.format("prekeys", _wishes(HOSTS, _prekeys))
schemathesis.openapi.format("tokens", _wishes(HOSTS, _tokens))
schemathesis.openapi.format(
    "acknowledgement", _wishes(HOSTS, st.builds(MailAcknowledgement, _names))
)
schemathesis.openapi.format("for-peer", _wishes((*HOSTS, *GUESTS), _for_peers))


@schemathesis.serializer("application/jose")  # type: ignore[untyped-decorator]
def serialize(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Sign a wish; leave everything else alone."""
    text = str(value)
    wish = Wish.read(text)
    if wish is not None and isinstance(wish.body, Registration):
        text = sign(newcomer(), origin(str(context.case.operation.base_url)), wish.body)
    elif wish is not None and isinstance(wish.body, Prekeys | MailboxTokens | MailAcknowledgement):
        owner = PEOPLE.get(str(context.case.path_parameters["peer_id"]).lower(), wish.author)
        text = sign(owner, origin(str(context.case.operation.base_url)), wish.body)
    elif wish is not None and isinstance(wish.body, Claim | Completion):
        body = attrs.evolve(wish.body, nameplate=str(context.case.path_parameters["nameplate"]))
        text = sign(wish.author, origin(str(context.case.operation.base_url)), body)
    elif wish is not None:
        text = wish.sign(str(context.case.path_parameters["peer_id"]))
    return text.encode("utf-8", "surrogatepass")


def _named(url: SplitResult) -> str:
    """Return the peer id that the path ends with, if it does."""
    return url.path.rpartition("/")[2].lower()


class Signature(AuthBase):
    """The ``Authorization`` of whom the path names, if that is one of us."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign a request that is about to go out."""
        url = urlsplit(str(request.url))
        author = OWN.get(_named(url), GUESTS[0])
        audience = origin(f"{url.scheme}://{url.netloc}")  # the query may be anything
        body = Removal() if request.method == "DELETE" else Subscription()
        request.headers["Authorization"] = f"JWS {sign(author, audience, body)}"
        return request


class OwnerSignature(AuthBase):
    """The ``Authorization`` of whoever claims nameplates, for the one that the path names."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign a request that is about to go out."""
        url = urlsplit(str(request.url))
        audience = origin(f"{url.scheme}://{url.netloc}")
        release = Release(unquote(_named(url)))
        request.headers["Authorization"] = f"JWS {sign(HOSTS[0], audience, release)}"
        return request


class MailboxAuthorization(AuthBase):
    """What the owner of a mailbox, and a depositor, show."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Show it with a request that is about to go out."""
        url = urlsplit(str(request.url))
        if request.method == "GET":
            owner = PEOPLE.get(_named(url), HOSTS[0])
            signed = sign(owner, origin(f"{url.scheme}://{url.netloc}"), MailFetch())
            request.headers["Authorization"] = f"JWS {signed}"
        elif url.path.startswith("/prekey/"):
            request.headers["Authorization"] = credentials(TOKEN_SCHEME, TOKEN)
        else:
            permit = PERMITS.get(_named(url), bytes(40))
            request.headers["Authorization"] = credentials(PERMIT_SCHEME, permit)
        return request


class Lease(AuthBase):
    """The renewal of the lease that the path names, if it is one of ours; else any word."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Show it with a request that is about to go out."""
        named = _named(urlsplit(str(request.url)))
        request.headers["Authorization"] = f"Lease {LEASES.get(named, 'nobodys')}"
        return request


@schemathesis.hook  # type: ignore[untyped-decorator]
def after_call(_context: Any, case: schemathesis.Case, response: schemathesis.Response) -> None:
    """Keep what a registration gives for its renewals, and what lets mail in."""
    if case.operation.path == "/register" and response.status_code == HTTPStatus.OK:
        record = response.json()
        LEASES[record["peer_id"]] = record["renewal"]
    if case.operation.path == "/prekey/{peer_id}" and response.status_code == HTTPStatus.OK:
        owner = str(case.path_parameters["peer_id"]).lower()
        PERMITS[owner] = PrekeyAnswer.from_json(response.json()).permit


schemathesis.auth.set_from_requests(Lease()).apply_to(operation_id=["renew"])
schemathesis.auth.set_from_requests(MailboxAuthorization()).apply_to(
    operation_id=["get_prekeys", "fetch_mail", "leave_mail"]
)
schemathesis.auth.set_from_requests(OwnerSignature()).apply_to(operation_id=["release_nameplate"])
schemathesis.auth.set_from_requests(Signature()).apply_to(
    operation_id=["remove_peer", "open_events"]
)
