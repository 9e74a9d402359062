"""
Every exception of p2pchat, in one tree.

The first paragraph of a class's docstring is the sentence that its user reads when nothing more
precise is known; ``str(error)`` is always fit to be shown to a person, and has no full stop at its
end: whoever shows it sets one.
"""

from __future__ import annotations

from math import ceil


class P2PChatError(Exception):
    """Something went wrong in p2pchat."""

    def __str__(self) -> str:
        return super().__str__() or self.sentence()

    @classmethod
    def sentence(cls) -> str:
        """Return the first paragraph of the docstring, as one line and without its full stop."""
        paragraph = (cls.__doc__ or cls.__name__).strip().partition("\n\n")[0]
        return " ".join(paragraph.split()).removesuffix(".")


class LocalProtocolError(P2PChatError):
    """This program used the library wrongly."""


class TextTooLong(LocalProtocolError):
    """A message is too long."""


class TooManyLines(LocalProtocolError):
    """Too many lines wait for delivery already; wait, or /disconnect."""


class ConfigurationError(P2PChatError):
    """An option or a file of the configuration can't be used."""


class DirectoryInUse(ConfigurationError):
    """A state directory is in use by another program."""


class PassphraseNeeded(ConfigurationError):
    """The private key is encrypted."""


class WrongPassphrase(ConfigurationError):
    """The passphrase is wrong, or the file is damaged."""


class StorageFailed(P2PChatError):
    """Messages can't be stored now."""


class QuotaReached(StorageFailed):
    """
    A peer has sent as much as is stored of one in a day.

    :ivar until: when more is stored, in seconds since 1970.
    """

    def __init__(self, reason: str, until: float) -> None:
        super().__init__(reason)
        self.until = until


class RemoteProtocolError(P2PChatError):
    """The other side broke the rules of the protocol."""


class UnsupportedVersion(RemoteProtocolError):
    """
    The other side speaks a version of the protocol that this program doesn't know.

    :ivar version: that version.
    :ivar issuer: the peer id of its author, where a signature proves it, else "".
    :ivar audience: whom the document is for, else "".
    :ivar issued_at: when it was made, else 0.
    :ivar nonce: its random name, else "".
    """

    def __init__(self, message: str = "", version: int = 0) -> None:
        super().__init__(message)
        self.version = version

    issuer = ""
    audience = ""
    issued_at = 0.0
    nonce = ""


class NotUtf8(RemoteProtocolError):
    """JSON must be UTF-8."""


class NotJson(RemoteProtocolError):
    """Not a JSON document."""


class NestedTooDeep(RemoteProtocolError):
    """Arrays and objects nest too deep."""


class DuplicateKey(RemoteProtocolError):
    """A JSON object has the same key twice."""


class NotCompact(RemoteProtocolError):
    """A JWS in compact serialization is expected: three base64url parts joined by dots."""


class BadHeader(RemoteProtocolError):
    """The header of a signed document doesn't say what it must."""


class DocumentTooLong(RemoteProtocolError):
    """A signed document is too long."""


class BadSignature(RemoteProtocolError):
    """A signed document isn't signed by the key that it names."""


class WrongIssuer(BadSignature):
    """A signed document claims another author than the key that it is signed with."""


class SealBroken(RemoteProtocolError):
    """A sealed document can't be opened: it was sealed to another key, or changed."""


class StaleDocument(RemoteProtocolError):
    """A signed document is too old, or dated in the future: check the clock."""


class ReplayedDocument(RemoteProtocolError):
    """A signed document was used before."""


class TooManyDocuments(RemoteProtocolError):
    """More signed documents came than can be remembered: try again in a minute."""


class WrongAudience(RemoteProtocolError):
    """A signed document is meant for somebody else."""


class ProofFailed(RemoteProtocolError):
    """The other side didn't prove that it holds the key of its peer id."""


class LinkClosed(P2PChatError):
    """The encrypted link has ended."""


class HandshakeRefused(LinkClosed):
    """
    The two programs agree on no handshake.

    :ivar reason: what the side that refused says of it.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{self.sentence()}: {reason}")


class RegistryError(P2PChatError):
    """
    The registry refused a request.

    :ivar status: the HTTP status, or 0 when no answer of the registry says so.
    :ivar reason: the word of its problem document, such as ``unknown-peer``.
    :ivar retry_after: seconds after which it wants to be asked again, if it said so.
    """

    def __init__(
        self,
        message: str = "",
        status: int = 0,
        reason: str = "registry",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    def __str__(self) -> str:
        sentence = super().__str__()
        if self.retry_after is None:
            return sentence
        seconds = ceil(self.retry_after)
        return f"{sentence}; worth asking again in {seconds} second{'s' if seconds != 1 else ''}"


class RegistryUnreachable(RegistryError):
    """The registry can't be reached: check its address, and your network."""


class CertificateRefused(P2PChatError):
    """A server's certificate isn't to be trusted."""


class ProxyError(P2PChatError):
    """The proxy that connections go through doesn't let us through."""


class InvitationRefused(P2PChatError):
    """The invitation can't be used."""


class WhoError(P2PChatError):
    """No single peer is meant by that name or id."""


class NoSuchContact(WhoError):
    """None of your contacts has that name: give a contact's name, or a whole id."""


class ServiceNameRefused(P2PChatError):
    """
    That can't be the name of a service.

    It has small letters, figures, hyphens, dots and underscores, 63 at most, and begins with a
    letter or a figure.
    """


class NotGranted(P2PChatError):
    """They offer you no such service: it isn't there, or isn't granted to you."""


class PeerOffline(P2PChatError):
    """They aren't there: no registry at which they are found knows them now."""


class NoPath(P2PChatError):
    """
    No path to them was found.

    :ivar explanation: what was tried and why it failed, in sentences, as ``/why`` says it.
    """

    def __init__(self, message: str = "", explanation: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.explanation = explanation


class TooManyStreams(P2PChatError):
    """Too many streams are open to them already: end some, or wait."""


class LinkLost(P2PChatError):
    """The link to them was lost, and with it what was open on it."""


class NoResidentNode(P2PChatError):
    """No program of yours is running that others could use."""


class NodeEnded(P2PChatError):
    """The program that others were attached to has ended."""


class NodeRefused(P2PChatError):
    """
    The program that is running refuses this one.

    :ivar word: what kind of refusal it is, for programs.
    """

    def __init__(self, reason: str = "", word: str = "") -> None:
        super().__init__(reason)
        self.word = word


class TransferRefused(P2PChatError):
    """That can't be sent, or is no transfer of files; /files lists them."""
