"""
Permissions and channels of a TURN allocation (RFC 8656 sections 9 to 12).

Owns one permission for each wanted IP address, one channel for each transport address that a
second datagram of a link went to, their renewal, and the datagrams that wait for a permission.  A
datagram goes out as ChannelData where a channel is bound, else as a Send indication.  Checks bind
no channel: whoever names candidates could use them up.

The relay answers 400 or 403 for an address that it can't or won't send to, and refuses a whole
CreatePermission for one such address: its addresses are then asked for one by one.  An address
that is refused by itself is never asked for again, until it is forgotten; what is sent to it is
dropped.  Data from addresses that aren't wanted is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.traversal.earliest import earliest
from p2pchat.traversal.stun_transactions import SUCCESS, Outcome, Transactions
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address, family, format_address
from p2pchat.wire.channel_data import FIRST_CHANNEL, decode_channel_data, encode_channel_data

SEND, DATA = 0x006, 0x007  # methods, RFC 8656 section 17
CREATE_PERMISSION, CHANNEL_BIND = 0x008, 0x009

PERMISSION_LIFETIME = 300.0  # seconds, RFC 8656 section 9
PERMISSION_RENEWAL = 240.0  # seconds
CHANNEL_LIFETIME = 600.0  # seconds, RFC 8656 section 12
CHANNEL_RENEWAL = 540.0  # seconds
RETRY_AFTER = 10.0  # seconds until what went unanswered, or met a busy relay, is asked again
MAX_HOSTS = 128  # IP addresses: the candidates of a few attempts at once
MAX_BATCH = 32  # addresses in one CreatePermission, so that it fits an unfragmented datagram
MAX_CHANNELS = 64
MAX_WAITING = 32  # datagrams that wait for a permission; the oldest is dropped

OTHER_FAMILY = 443  # error code, RFC 8656 section 19
_OF_THE_PEER = {400, 403, OTHER_FAMILY}  # error codes that the peer's address brings about


@attrs.define
class _Grant:
    """
    A permission or a channel.

    :ivar ask_at: when to ask for it (again); ``None``: an answer is awaited, or it was refused.
    :ivar until: when it ends.
    :ivar refusal: the error code with which it was refused, or 0.
    """

    ask_at: float | None
    until: float | None = None
    refusal: int = 0

    def holds(self, now: float) -> bool:
        return self.until is not None and now < self.until

    def is_due(self, now: float) -> bool:
        return self.ask_at is not None and now >= self.ask_at


@attrs.define
class Permissions:
    """
    The peers of one allocation; a child of :class:`p2pchat.traversal.turn.Allocation`.

    :ivar relayed: the relayed address; ``None`` while there is none, and nothing is asked then.
    :ivar dropped: datagrams that had no way to their peer.
    """

    _transactions: Transactions
    _random_bytes: Callable[[int], bytes]
    relayed: Address | None = None
    dropped: int = 0
    _wanted: dict[str, _Grant] = attrs.Factory(dict)
    _channels: dict[Address, _Grant] = attrs.Factory(dict)
    _numbers: dict[Address, int] = attrs.Factory(dict)  # for good: never another peer's
    _peers: dict[int, Address] = attrs.Factory(dict)
    _sent_once: dict[Address, None] = attrs.Factory(dict)
    _waiting: deque[tuple[bytes, Address, bool]] = attrs.Factory(deque)

    def begin(self, relayed: Address, now: float) -> None:
        """Ask for a permission for every wanted address: there is an allocation."""
        self.relayed = relayed
        for host in self._wanted:
            self._wanted[host] = self._new_grant(host, now)
        self._ask(now)

    def pause(self) -> None:
        """Keep only which addresses are wanted: the allocation is gone, and what it granted."""
        self.relayed = None
        for forgotten in (self._channels, self._numbers, self._peers, self._sent_once):
            forgotten.clear()

    def end(self) -> None:
        """Drop every address, and what waits for it."""
        self.pause()
        self._wanted.clear()
        self.dropped += len(self._waiting)
        self._waiting.clear()

    def permit(self, peers: Iterable[Address], now: float) -> None:
        """Want these IP addresses from now on."""
        for host, _ in peers:
            if host not in self._wanted and len(self._wanted) < MAX_HOSTS:
                self._wanted[host] = self._new_grant(host, now)
        self._ask(now)

    def forget(self, peers: Iterable[Address]) -> None:
        """Renew the permissions of these IP addresses no more."""
        for host, _ in peers:
            self._wanted.pop(host, None)

    def _is_permitted(self, host: str, now: float) -> bool:
        return host in self._wanted and self._wanted[host].holds(now)

    def _new_grant(self, host: str, now: float) -> _Grant:
        # A relay answers 443 to peers of another family, and we know our relayed address's.
        if self.relayed is not None and family(host) is not family(self.relayed[0]):
            return _Grant(None, refusal=OTHER_FAMILY)
        return _Grant(now)

    # -- data

    def send(self, data: bytes, peer: Address, now: float, binds: bool = True) -> None:
        """
        Send a datagram, now or when the permission is there.

        :param binds: whether it counts among those that a channel is bound for.
        """
        if self._is_bound(peer, now):
            padded = self._transactions.reliable
            self._transactions.send(encode_channel_data(self._numbers[peer], data, padded))
        elif self.relayed is not None and self._is_permitted(peer[0], now):
            self._indicate(data, peer, now, binds)
        else:
            self._wait(data, peer, now, binds)

    def _is_bound(self, peer: Address, now: float) -> bool:
        channel = self._channels.get(peer)
        return channel is not None and channel.holds(now) and peer[0] in self._wanted

    def _indicate(self, data: bytes, peer: Address, now: float, binds: bool) -> None:
        attributes = {"XOR-PEER-ADDRESS": peer, "DATA": data}
        kind, identifier = stun.MessageClass.INDICATION, self._random_bytes(12)
        self._transactions.send(stun.encode(stun.Message(kind, identifier, attributes, SEND)))
        if not binds:
            return
        if peer in self._sent_once:
            self._open_channel(peer, now)
        elif len(self._sent_once) < MAX_HOSTS:
            self._sent_once[peer] = None

    def _wait(self, data: bytes, peer: Address, now: float, binds: bool) -> None:
        self.permit([peer], now)
        if peer[0] not in self._wanted or self._wanted[peer[0]].refusal:
            self.dropped += 1
            return
        self._waiting.append((data, peer, binds))
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self.dropped += 1

    def _send_waiting(self, now: float) -> None:
        waiting, self._waiting = self._waiting, deque()
        for data, peer, binds in waiting:
            self.send(data, peer, now, binds)

    def receive_channel_data(self, frame: bytes) -> tuple[bytes, Address]:
        """
        Return the data and the peer that it came from.

        :raises RemoteProtocolError: no channel of ours, or malformed.
        """
        number, data = decode_channel_data(frame)
        return data, self._checked(self._peers.get(number))

    def receive_indication(self, message: stun.Message) -> tuple[bytes, Address]:
        """
        Return the data of a Data indication and the peer that it came from.

        :raises RemoteProtocolError: another indication, or from nobody that is wanted.
        """
        data = message.attributes.get("DATA")
        if message.method != DATA or data is None:
            raise RemoteProtocolError("an indication without data")
        return data, self._checked(message.attributes.get("XOR-PEER-ADDRESS"))

    def _checked(self, peer: Address | None) -> Address:
        if peer is None or peer[0] not in self._wanted:
            raise RemoteProtocolError("data of a peer without a permission")
        return peer

    # -- permissions

    def _ask(self, now: float) -> None:
        """Ask for the permissions that are due."""
        due = [host for host, grant in self._wanted.items() if grant.is_due(now)]
        if self.relayed is not None:
            for start in range(0, len(due), MAX_BATCH):
                self._create(due[start : start + MAX_BATCH], now)

    def _create(self, hosts: list[str], now: float) -> None:
        for host in hosts:
            self._wanted[host].ask_at = None
        addresses = [(host, 0) for host in hosts]  # the port means nothing, RFC 8656 section 10.2
        self._transactions.ask(CREATE_PERMISSION, {"XOR-PEER-ADDRESS": addresses}, now)

    def created(self, answer: Outcome, now: float) -> None:
        """Take the answer to a CreatePermission request."""
        asked = [host for host, _ in answer.asked["XOR-PEER-ADDRESS"]]
        hosts = [host for host in asked if host in self._wanted]
        if answer.code == SUCCESS:
            for host in hosts:
                self._wanted[host] = _Grant(now + PERMISSION_RENEWAL, now + PERMISSION_LIFETIME)
            self._send_waiting(now)
        elif answer.code not in _OF_THE_PEER:
            for host in hosts:
                self._wanted[host].ask_at = now + RETRY_AFTER
        elif len(asked) == 1:
            self._refuse(hosts, answer.code)
        else:  # one of them is the reason, and which isn't said
            for host in hosts:
                self._create([host], now)

    def _refuse(self, hosts: list[str], code: int) -> None:
        for host in hosts:
            self._wanted[host] = _Grant(None, refusal=code)
        kept = deque(one for one in self._waiting if one[1][0] not in hosts)
        self.dropped += len(self._waiting) - len(kept)
        self._waiting = kept

    # -- channels

    def _open_channel(self, peer: Address, now: float) -> None:
        if peer in self._channels or (
            peer not in self._numbers and len(self._numbers) >= MAX_CHANNELS
        ):
            return
        number = self._numbers.setdefault(peer, FIRST_CHANNEL + len(self._numbers))
        self._peers[number] = peer
        self._channels[peer] = _Grant(now)
        self._bind(peer, now)

    def _bind(self, peer: Address, now: float) -> None:
        self._channels[peer].ask_at = None
        attributes = {"CHANNEL-NUMBER": self._numbers[peer], "XOR-PEER-ADDRESS": peer}
        self._transactions.ask(CHANNEL_BIND, attributes, now)

    def bound(self, answer: Outcome, now: float) -> None:
        """Take the answer to a ChannelBind request."""
        peer: Address = answer.asked["XOR-PEER-ADDRESS"]
        if answer.code == SUCCESS:
            self._channels[peer] = _Grant(now + CHANNEL_RENEWAL, now + CHANNEL_LIFETIME)
        elif answer.code in _OF_THE_PEER:
            del self._channels[peer]
            self._refuse([peer[0]] if peer[0] in self._wanted else [], answer.code)
        else:
            self._channels[peer].ask_at = now + RETRY_AFTER

    def _renew_channels(self, now: float) -> None:
        for peer in [peer for peer, channel in self._channels.items() if channel.is_due(now)]:
            if peer[0] in self._wanted:
                self._bind(peer, now)
            else:
                del self._channels[peer]

    # -- time

    def handle_timer(self, now: float) -> None:
        """Ask for what is due."""
        if self.relayed is not None:
            self._ask(now)
            self._renew_channels(now)

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` has something to do."""
        if self.relayed is None:
            return None
        grants = (*self._wanted.values(), *self._channels.values())
        return earliest(*(grant.ask_at for grant in grants))

    def story(self) -> list[str]:
        """Return what was granted and what was refused, a sentence each."""
        granted = sum(grant.until is not None for grant in self._wanted.values())
        channels = [peer for peer, one in self._channels.items() if one.until is not None]
        sentences = [f"{granted} of {len(self._wanted)} peer addresses are permitted"]
        sentences += [f"a channel to {format_address(peer)} is bound" for peer in channels]
        for host, grant in self._wanted.items():
            if grant.refusal:
                why = "of another family" if grant.refusal == OTHER_FAMILY else "refused"
                sentences.append(f"peer address {host} is {why} (error {grant.refusal})")
        return sentences + [f"{self.dropped} datagrams were dropped"] * bool(self.dropped)
