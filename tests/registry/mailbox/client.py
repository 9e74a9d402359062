"""The owner of a mailbox and a depositor, as HTTP clients of a registry in a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import time
from typing import Any

import attrs

from p2pchat.identity.keys import Identity
from p2pchat.identity.signed_documents import sign_document
from p2pchat.wire.documents import Body, Registration, Subscription
from p2pchat.wire.mailbox import (
    DAY,
    ENVELOPE_TYPE,
    MAX_ONE_TIME,
    PERMIT_SCHEME,
    PREKEY,
    TOKEN,
    TOKEN_SCHEME,
    Mail,
    MailAcknowledgement,
    MailboxTokens,
    MailFetch,
    PrekeyAnswer,
    Prekeys,
    credentials,
    envelope_name,
    token_hash,
)

PATIENCE = 20.0  # seconds


@attrs.define
class MailClient:
    """
    Both of them, at one registry.

    :ivar port: of the registry, on loopback.
    """

    port: int
    identity: Identity = attrs.Factory(lambda: Identity.from_seed(os.urandom(32)))
    token: bytes = attrs.Factory(lambda: os.urandom(TOKEN))
    _connection: http.client.HTTPConnection = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, PATIENCE)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def ask(self, method: str, word: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Ask about the mailbox; return status and body."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        path = f"/{word}/{self.identity.peer_id}"
        self._connection.request(method, path, body, named)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def sign(self, body: Body) -> bytes:
        """Sign a document of the owner's."""
        audience = f"http://127.0.0.1:{self.port}"
        token = sign_document(self.identity, audience, body, time.time(), os.urandom(16).hex())
        return token.encode("ascii")

    def post(self, word: str, body: Body) -> Any:
        """Post a document; return what is answered."""
        status, answer = self.ask("POST", word, self.sign(body), Content_Type="application/jose")
        assert status == http.HTTPStatus.OK, answer
        return json.loads(answer)

    def register(self) -> Any:
        """Register; return what the mailbox is said to have."""
        headers = {"Content-Type": "application/jose"}
        self._connection.request("POST", "/register", self.sign(Registration("owner")), headers)
        return json.loads(self._connection.getresponse().read())["mailbox"]

    def open(self) -> None:
        """Register, and open the mailbox."""
        self.register()
        one_time = [os.urandom(32) for _ in range(MAX_ONE_TIME)]
        self.post("prekeys", Prekeys.of(os.urandom(PREKEY), one_time, time.time() + 30 * DAY))
        self.post("mailbox", MailboxTokens((token_hash(self.token),)))

    def permit(self) -> bytes:
        """Show the token, and return a permit."""
        shown = credentials(TOKEN_SCHEME, self.token)
        status, answer = self.ask("POST", "prekey", Authorization=shown)
        assert status == http.HTTPStatus.OK, answer
        return PrekeyAnswer.from_json(json.loads(answer)).permit

    def leave(self, envelope: bytes, permit: bytes) -> int:
        """Leave an envelope; return the status."""
        shown = credentials(PERMIT_SCHEME, permit)
        return self.ask("POST", "mail", envelope, Authorization=shown, Content_Type=ENVELOPE_TYPE)[
            0
        ]

    def fetch(self) -> Mail:
        """Fetch what waits longest."""
        shown = f"JWS {self.sign(MailFetch()).decode()}"
        status, answer = self.ask("GET", "mail", Authorization=shown)
        assert status == http.HTTPStatus.OK, answer
        return Mail.decode(answer)

    def fetch_all(self) -> list[bytes]:
        """Fetch and acknowledge all that waits."""
        found: list[bytes] = []
        while (mail := self.fetch()).envelopes:
            found += mail.envelopes
            names = tuple(envelope_name(one) for one in mail.envelopes)
            self.post("acknowledge", MailAcknowledgement(names))
        return found

    def listen(self) -> http.client.HTTPResponse:
        """Open the event stream, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, PATIENCE)
        headers = {"Authorization": f"JWS {self.sign(Subscription()).decode()}"}
        connection.request("GET", f"/events/{self.identity.peer_id}", headers=headers)
        return connection.getresponse()
