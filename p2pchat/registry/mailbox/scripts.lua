-- What Redis runs for mailboxes, each script in one step of the server, behind the beginning of
-- p2pchat/registry/store/scripts.lua; p2pchat.registry.mailbox.redis_store says which keys there are.
-- Names and hashes of tokens are in base16; times are those of now().

local OVERHEAD, TOKEN = 512, 128
local function key(kind, peer)
    return P .. 'mailbox-' .. kind .. ':' .. peer
end
local function mailbox(peer)
    local found = redis.call('HMGET', P .. 'mailbox:' .. peer,
        'published', 'allowed', 'ends', 'until', 'one-time', 'given', 'bytes', 'document')
    if found[4] and tonumber(found[4]) > now() then return found end
    return nil
end
local function state(peer)
    local found = redis.call('HMGET', P .. 'mailbox:' .. peer, 'one-time', 'given')
    return {redis.call('ZCARD', key('order', peer)), found[1] - found[2],
        redis.call('HLEN', key('tokens', peer))}
end
-- Is there room for so many bytes more?
local function has_room(bytes, capacity)
    local total = tonumber(redis.call('GET', P .. 'mailbox-bytes') or 0)
    return bytes <= 0 or total + bytes <= tonumber(capacity)
end
local function charge(bytes)
    if bytes ~= 0 then redis.call('INCRBY', P .. 'mailbox-bytes', bytes) end
end
local function drop_envelope(peer, name)
    redis.call('ZREM', P .. 'mailbox-ends', peer .. ' ' .. name)
    local said = redis.call('HGET', key('envelopes', peer), name)
    if not said then return end
    local token, size = string.match(said, '^(%S+) (%d+) ')
    redis.call('HDEL', key('envelopes', peer), name)
    redis.call('ZREM', key('order', peer), name)
    redis.call('DEL', key('envelope', peer .. ':' .. name))
    local used = key('used', peer)
    redis.call('HINCRBY', used, token .. ' bytes', -size)
    if redis.call('HINCRBY', used, token .. ' count', -1) == 0 then
        redis.call('HDEL', used, token .. ' bytes', token .. ' count')
    end
    redis.call('HINCRBY', P .. 'mailbox:' .. peer, 'bytes', -size)
    charge(-(size + OVERHEAD))
end
local function drop_mailbox(peer)
    local document = redis.call('HGET', P .. 'mailbox:' .. peer, 'document')
    if not document then return end
    for _, name in ipairs(redis.call('ZRANGE', key('order', peer), 0, -1)) do
        drop_envelope(peer, name)
    end
    charge(-(#document + OVERHEAD + TOKEN * redis.call('HLEN', key('tokens', peer))))
    redis.call('DEL', P .. 'mailbox:' .. peer, key('tokens', peer), key('used', peer))
    redis.call('ZREM', P .. 'mailboxes', peer)
end
local function lasts(peer, ends)
    redis.call('HSET', P .. 'mailbox:' .. peer, 'until', ends)
    redis.call('ZADD', P .. 'mailboxes', ends, peer)
end

--> STATE peer
return mailbox(ARGV[1]) and state(ARGV[1])

--> PUBLISH peer, document, when it was signed, milliseconds that it lasts, how many one-time keys it
-- has, milliseconds that it is kept beyond, bytes that there may be
local peer, document, issued, lifetime, one_time, kept, capacity = unpack(ARGV)
local found = mailbox(peer)
if found and tonumber(issued) < tonumber(found[1]) then return 'superseded' end
if found and found[8] == document then return state(peer) end
if not found then drop_mailbox(peer) end
local more = #document - (found and #found[8] or -OVERHEAD)
if not has_room(more, capacity) then return 'full' end
charge(more)
local ends = now() + lifetime
redis.call('HSET', P .. 'mailbox:' .. peer, 'published', issued, 'ends', ends,
    'one-time', one_time, 'given', 0, 'document', document)
if not found then redis.call('HSET', P .. 'mailbox:' .. peer, 'allowed', 0, 'bytes', 0) end
lasts(peer, ends + kept)
for _, token in ipairs(redis.call('HKEYS', key('tokens', peer))) do
    redis.call('HSET', key('tokens', peer), token, 0)
end
return state(peer)

--> ALLOW peer, when it was signed, bytes that there may be, all tokens
local peer, issued, capacity = unpack(ARGV, 1, 3)
local found = mailbox(peer)
if not found then return 'unknown' end
if tonumber(issued) < tonumber(found[2]) then return 'superseded' end
local come, gone, count = {}, {}, 0
for place = 4, #ARGV do
    if not come[ARGV[place]] then come[ARGV[place]], count = true, count + 1 end
end
for _, token in ipairs(redis.call('HKEYS', key('tokens', peer))) do
    if come[token] then
        come[token], count = nil, count - 1
    else
        gone[#gone + 1] = token
    end
end
if not has_room(TOKEN * (count - #gone), capacity) then return 'full' end
charge(TOKEN * (count - #gone))
for _, token in ipairs(gone) do redis.call('HDEL', key('tokens', peer), token) end
for token in pairs(come) do redis.call('HSET', key('tokens', peer), token, 0) end
redis.call('HSET', P .. 'mailbox:' .. peer, 'allowed', issued)
return state(peer)

--> GIVE peer, token, one-time keys that one token is given; the document and the place of a key, or -1
local peer, token, most = unpack(ARGV)
local found, given = mailbox(peer), redis.call('HGET', key('tokens', peer), token)
if not (found and given) then return 'unknown' end
if tonumber(found[3]) <= now() then return 'no-prekeys' end
if tonumber(found[6]) >= tonumber(found[5]) or tonumber(given) >= tonumber(most) then
    return {found[8], -1}
end
redis.call('HINCRBY', P .. 'mailbox:' .. peer, 'given', 1)
redis.call('HINCRBY', key('tokens', peer), token, 1)
return {found[8], tonumber(found[6])}

--> DEPOSIT peer, token, name, envelope, name of the one that it replaces, milliseconds that it is
-- kept, bytes and envelopes of a token, bytes of a mailbox, bytes that there may be; for how long it
-- is kept, and the state
local peer, token, name, envelope, replaces, kept = unpack(ARGV, 1, 6)
local token_bytes, token_count, most, capacity = unpack(ARGV, 7, 10)
local found, given = mailbox(peer), redis.call('HGET', key('tokens', peer), token)
if not (found and given) then return 'unknown' end
local envelopes, size = key('envelopes', peer), #envelope
local there = redis.call('HGET', envelopes, name)
local ends = there and tonumber(string.match(there, ' (%S+)$')) or 0
if ends <= now() then
    if there then drop_envelope(peer, name) end
    local said = redis.call('HGET', envelopes, replaces) or ''
    local whose, freed = string.match(said, '^(%S+) (%d+) ')
    if whose ~= token then replaces, freed = nil, 0 end
    local used = redis.call('HMGET', key('used', peer), token .. ' bytes', token .. ' count')
    local more, count = size - freed, (used[2] or 0) + (replaces and 0 or 1)
    if (used[1] or 0) + more > tonumber(token_bytes) or count > tonumber(token_count) then
        return 'token-full'
    end
    if redis.call('HGET', P .. 'mailbox:' .. peer, 'bytes') + more > tonumber(most) then
        return 'mailbox-full'
    end
    if not has_room(more + (replaces and 0 or OVERHEAD), capacity) then return 'full' end
    if replaces then drop_envelope(peer, replaces) end
    charge(size + OVERHEAD)
    ends = now() + kept
    redis.call('SET', key('envelope', peer .. ':' .. name), envelope)
    redis.call('HSET', envelopes, name, token .. ' ' .. size .. ' ' .. ends)
    redis.call('ZADD', key('order', peer), redis.call('INCR', P .. 'mailbox-serial'), name)
    redis.call('ZADD', P .. 'mailbox-ends', ends, peer .. ' ' .. name)
    redis.call('HINCRBY', key('used', peer), token .. ' bytes', size)
    redis.call('HINCRBY', key('used', peer), token .. ' count', 1)
    redis.call('HINCRBY', P .. 'mailbox:' .. peer, 'bytes', size)
    if tonumber(found[4]) < ends then lasts(peer, ends) end
end
local has, at = state(peer), stream_of(peer)
if at then
    local message = {v = V, type = 'mail', peer = peer,
        state = {waiting = has[1], one_time = has[2], tokens = has[3]}}
    redis.call('PUBLISH', P .. 'to:' .. at.instance, cjson.encode(message))
end
return {math.floor(ends - now()), has}

--> FETCH peer, envelopes and bytes at most; the state, then envelopes
local peer, most, room = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if not mailbox(peer) then return 'unknown' end
local answer = {state(peer)}
for _, name in ipairs(redis.call('ZRANGE', key('order', peer), 0, most - 1)) do
    local said = redis.call('HGET', key('envelopes', peer), name)
    local size, ends = string.match(said, '^%S+ (%d+) (%S+)$')
    if tonumber(ends) > now() then
        room = room - size
        if room < 0 then break end
        answer[#answer + 1] = redis.call('GET', key('envelope', peer .. ':' .. name))
    end
end
return answer

--> ACKNOWLEDGE peer, names
local peer = ARGV[1]
if not mailbox(peer) then return 'unknown' end
for place = 2, #ARGV do drop_envelope(peer, ARGV[place]) end
return state(peer)

--> SWEEP how many may be deleted, a key for permits; the key that is used, and counts of mailboxes,
-- envelopes and bytes
local most, permits = tonumber(ARGV[1]), P .. 'mailbox-permits'
redis.call('SET', permits, ARGV[2], 'NX')
for _, one in ipairs(redis.call('ZRANGEBYSCORE', P .. 'mailbox-ends', '-inf', now(),
        'LIMIT', 0, most)) do
    drop_envelope(string.match(one, '^(%S+) (%S+)$'))
end
for _, peer in ipairs(redis.call('ZRANGEBYSCORE', P .. 'mailboxes', '-inf', now(),
        'LIMIT', 0, most)) do
    drop_mailbox(peer)
end
return {redis.call('GET', permits), redis.call('ZCARD', P .. 'mailboxes'),
    redis.call('ZCARD', P .. 'mailbox-ends'), tonumber(redis.call('GET', P .. 'mailbox-bytes') or 0)}
