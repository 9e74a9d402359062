"""
Scripts that Redis runs, each in one step of the server, and the keys that they use.

::

    p2pchat:record:{peer}       a record as JSON; its expiry is the lease
    p2pchat:used:{issuer}:{jti} a nonce; its expiry is the end of its document
    p2pchat:at:{peer}           where the peer's event stream is attached: instance ":" serial
    p2pchat:instance:{instance} this process of the registry lives; expires soon after it doesn't

    p2pchat:ids                 sorted set of all peers that are listed, in the order of their ids
    p2pchat:name:{username}     sorted set of those of this name
    p2pchat:names               hash: the name under which a peer stands in such a set
    p2pchat:due                 sorted set of all peers: when the record ends, in milliseconds

    p2pchat:wrote               sorted set of digests of who called or answered whom
                                (p2pchat.registry.admission.solicited): until when that is kept
    p2pchat:strangers:{peer}    when the budget for those that a peer never wrote to is full again,
                                in milliseconds; its expiry, too
    p2pchat:had:{pair}          bytes of one of those to one peer, by the digest of the two

    channel p2pchat:to:{instance}   messages to this process, words with spaces between:

        deliver {request} {instance} {peer} {document}   put this on the stream, then answer
        answer {request} {0, 1 or 2}                     no live stream; one took it; no room
        end {peer} {serial} {event}                      end this stream with this event

Only processes of the registry can write to Redis; still, a message that can't be read is nothing.

The sets are indices: a peer whose record has expired may still stand there, and isn't shown.
Whichever process sweeps first takes it out.

A peer is online while it is registered and its stream is attached to a process that lives.
The scripts make up names of keys as they go: the store is one Redis server with its replicas, not
a Redis Cluster.  Redis 5 or newer.
"""

from __future__ import annotations

import attrs

from p2pchat.registry.store.directory import Delivery

PREFIX = "p2pchat:"
MAX_PAIRS = 1_000_000  # of those that wrote to each other, about 100 bytes each
SWEPT = 2000  # records that one sweep takes out of the indices: about 15 milliseconds

# Stands before each script.
LIBRARY = """
local P = 'p2pchat:'
local function take(issuer, nonce, ttl)
    return redis.call('SET', P .. 'used:' .. issuer .. ':' .. nonce, '1', 'NX', 'EX', ttl)
end
local function instance_of(at)
    return at and string.match(at, '^[^:]+')
end
local alive = {}
local function lives(instance)
    if alive[instance] == nil then
        alive[instance] = redis.call('EXISTS', P .. 'instance:' .. instance) == 1
    end
    return alive[instance]
end
local function stream_of(peer)
    local at = redis.call('GET', P .. 'at:' .. peer)
    if at and lives(instance_of(at)) then
        return at
    end
    return nil
end
local function show(peer)
    local record = redis.call('GET', P .. 'record:' .. peer)
    return record and ((stream_of(peer) and '1' or '0') .. record)
end
local function unlist(peer)
    local name = redis.call('HGET', P .. 'names', peer)
    if name then
        redis.call('ZREM', P .. 'name:' .. name, peer)
        redis.call('HDEL', P .. 'names', peer)
    end
    redis.call('ZREM', P .. 'ids', peer)
    redis.call('ZREM', P .. 'due', peer)
end
local function now()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function tell_end(at, mine, peer, event)
    if at and instance_of(at) ~= mine then
        local serial = string.sub(at, #instance_of(at) + 2)
        local message = 'end ' .. peer .. ' ' .. serial .. ' ' .. event
        redis.call('PUBLISH', P .. 'to:' .. instance_of(at), message)
    end
end
"""

# peer, the username under which it is listed or nothing, record, lease in milliseconds, capacity,
# nonce, its time to live; is it online?
REGISTER = """
local peer, username, record, lease, capacity, nonce, ttl = unpack(ARGV)
local key = P .. 'record:' .. peer
if redis.call('EXISTS', key) == 0
    and redis.call('ZCARD', P .. 'due') >= tonumber(capacity) then
    return 'full'
end
if not take(peer, nonce, ttl) then return 'used' end
redis.call('SET', key, record, 'PX', lease)
if (redis.call('HGET', P .. 'names', peer) or '') ~= username then
    unlist(peer)
    if username ~= '' then
        redis.call('HSET', P .. 'names', peer, username)
        redis.call('ZADD', P .. 'name:' .. username, 0, peer)
        redis.call('ZADD', P .. 'ids', 0, peer)
    end
end
redis.call('ZADD', P .. 'due', now() + lease, peer)
return stream_of(peer) and 'online' or 'offline'
"""

# peer, lease in milliseconds, renewal, ip; a record that an older registry wrote is a list
RENEW = """
local peer, lease, renewal, ip = unpack(ARGV)
local key = P .. 'record:' .. peer
local record = redis.call('GET', key)
if not record or renewal == '' then return 'unknown' end
local fields = cjson.decode(record)
if (fields.ip or fields[4]) ~= ip or (fields.renewal or fields[7]) ~= renewal then
    return 'unknown'
end
redis.call('PEXPIRE', key, lease)
redis.call('ZADD', P .. 'due', now() + lease, peer)
return 'done'
"""

# peer; the record behind 1 (online) or 0, or nothing
FIND = "return show(ARGV[1])"

# after, limit, and the username if there is one; the id that follows, then a line for each record
PAGE = """
local after, limit, username = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local ids = username and (P .. 'name:' .. username) or (P .. 'ids')
local from = after == '' and '-' or '(' .. after
local peers = redis.call('ZRANGEBYLEX', ids, from, '+', 'LIMIT', 0, limit + 1)
local lines = {#peers > limit and peers[limit] or ''}
for place, peer in ipairs(peers) do
    local shown = place <= limit and show(peer)
    if shown then lines[#lines + 1] = shown end
end
return table.concat(lines, '\\n')
"""

# peer, this instance, nonce, its time to live; where its stream hung
REMOVE = """
local peer, mine, nonce, ttl = unpack(ARGV)
if redis.call('EXISTS', P .. 'record:' .. peer) == 0 then return 'unknown' end
if not take(peer, nonce, ttl) then return 'used' end
tell_end(redis.call('GET', P .. 'at:' .. peer), mine, peer, 'removed')
redis.call('DEL', P .. 'record:' .. peer, P .. 'at:' .. peer)
unlist(peer)
return 'done'
"""

# peer, this instance, serial, seconds of presence, nonce, its time to live
SUBSCRIBE = """
local peer, mine, serial, presence, nonce, ttl = unpack(ARGV)
if redis.call('EXISTS', P .. 'record:' .. peer) == 0 then return 'unknown' end
if not take(peer, nonce, ttl) then return 'used' end
local at = P .. 'at:' .. peer
tell_end(redis.call('GET', at), mine, peer, 'superseded')
redis.call('SET', at, mine .. ':' .. serial, 'EX', presence)
return 'done'
"""

# peer, this instance, serial
UNSUBSCRIBE = """
local at = P .. 'at:' .. ARGV[1]
if redis.call('GET', at) == ARGV[2] .. ':' .. ARGV[3] then redis.call('DEL', at) end
return 'done'
"""

# issuer, peer, this instance, nonce, its time to live, message for the instance of the stream; the
# pair that would make it solicited, the pair that it makes or nothing, its bytes, those that may be
# unsolicited at once or 0, milliseconds after which there may be as many again, seconds that a pair
# is kept, pairs that are kept, the weight of what an author had, seconds that it is kept
DELIVER = """
local issuer, peer, mine, nonce, ttl, message = unpack(ARGV)
local theirs, ours, size, most, window, keep, capacity, weight, span = unpack(ARGV, 7)
if redis.call('EXISTS', P .. 'record:' .. issuer) == 0 then return 'unknown-author' end
if redis.call('EXISTS', P .. 'record:' .. peer) == 0 then return 'unknown' end
local at = stream_of(peer)
if not at then return 'offline' end
local budget, had, time = P .. 'strangers:' .. peer, P .. 'had:' .. theirs, now()
local counts = tonumber(most) > 0
    and tonumber(redis.call('ZSCORE', P .. 'wrote', theirs) or 0) <= time
local full = time
if counts then
    local kept = redis.call('MGET', budget, had)
    full = math.max(time, tonumber(kept[1] or 0))
    local left = most - (full - time) * most / window
    if size + weight * (kept[2] or 0) > left then return 'unsolicited' end
end
if not take(issuer, nonce, ttl) then return 'used' end
if counts then
    full = full + size * window / most
    redis.call('SET', budget, string.format('%.3f', full), 'PX', math.ceil(full - time))
    if redis.call('INCRBY', had, size) == tonumber(size) then redis.call('EXPIRE', had, span) end
end
if ours ~= '' then
    redis.call('ZADD', P .. 'wrote', time + keep * 1000, ours)
    local excess = redis.call('ZCARD', P .. 'wrote') - capacity
    if excess > 0 then redis.call('ZREMRANGEBYRANK', P .. 'wrote', 0, excess - 1) end
end
if instance_of(at) == mine then return 'here' end
if redis.call('PUBLISH', P .. 'to:' .. instance_of(at), message) > 0 then return 'sent' end
redis.call('DEL', P .. 'used:' .. issuer .. ':' .. nonce, P .. 'at:' .. peer)
return 'offline'
"""

# issuer, nonce
FORGET = "return redis.call('DEL', P .. 'used:' .. ARGV[1] .. ':' .. ARGV[2])"

# this instance, seconds of presence, then peer and serial of each stream; a letter for each:
# o it is ours, r it is ours but there is no record, s the peer has a newer one elsewhere
CHECK = """
local mine, presence, found = ARGV[1], ARGV[2], {}
for place = 3, #ARGV, 2 do
    local peer = ARGV[place]
    local at, own = stream_of(peer), mine .. ':' .. ARGV[place + 1]
    if at and at ~= own then
        found[#found + 1] = 's'
    else
        redis.call('SET', P .. 'at:' .. peer, own, 'EX', presence)
        found[#found + 1] = redis.call('EXISTS', P .. 'record:' .. peer) == 1 and 'o' or 'r'
    end
end
return table.concat(found)
"""

# this instance, seconds that it is believed to live, how many may be swept; how many are registered
BEAT = """
redis.call('SET', P .. 'instance:' .. ARGV[1], '1', 'EX', ARGV[2])
redis.call('ZREMRANGEBYSCORE', P .. 'wrote', '-inf', now())
local ended = redis.call('ZRANGEBYSCORE', P .. 'due', '-inf', now(), 'LIMIT', 0, ARGV[3])
for _, peer in ipairs(ended) do
    local left = redis.call('PTTL', P .. 'record:' .. peer)
    if left > 0 then
        redis.call('ZADD', P .. 'due', now() + left, peer)
    else
        unlist(peer)
    end
end
return redis.call('ZCARD', P .. 'due')
"""

# this instance
LEAVE = "return redis.call('DEL', P .. 'instance:' .. ARGV[1])"


def channel(instance: str) -> str:
    """Return the channel of a process of the registry."""
    return f"{PREFIX}to:{instance}"


_ANSWERS = (Delivery.OFFLINE, Delivery.TAKEN, Delivery.FULL)
EVENTS = frozenset({"superseded", "removed"})


@attrs.frozen
class DeliverMessage:
    """A document for a peer whose stream is attached to the reader."""

    request: int
    instance: str
    peer_id: str
    token: str

    def encode(self) -> str:
        """Write it."""
        return f"deliver {self.request} {self.instance} {self.peer_id} {self.token}"


@attrs.frozen
class AnswerMessage:
    """The outcome of a delivery: OFFLINE, TAKEN or FULL."""

    request: int
    delivery: Delivery

    def encode(self) -> str:
        """Write it."""
        return f"answer {self.request} {_ANSWERS.index(self.delivery)}"


@attrs.frozen
class EndMessage:
    """The end of a stream that is attached to the reader; the scripts write it."""

    peer_id: str
    serial: int
    event: str


def read_message(text: str) -> DeliverMessage | AnswerMessage | EndMessage | None:
    """Read a message; None: it is none."""
    match text.split(" "):
        case ["deliver", request, instance, peer_id, token] if request.isdigit():
            return DeliverMessage(int(request), instance, peer_id, token)
        case ["answer", request, "0" | "1" | "2" as delivery] if request.isdigit():
            return AnswerMessage(int(request), _ANSWERS[int(delivery)])
        case ["end", peer_id, serial, event] if serial.isdigit() and event in EVENTS:
            return EndMessage(peer_id, int(serial), event)
    return None
