-- What Redis runs, each script in one step of the server; p2pchat.registry.store.redis_scripts says
-- which keys there are.  A line that begins with --> names the script that follows, and its
-- arguments; what stands before the first one stands before each.

local P, V = 'p2pchat:', 1
local STEP = 5000
-- Milliseconds that nobody sets: TIME is the wall clock of the server's machine.  Beats keep how far
-- they were; between two of them time passes by the wall clock, but by STEP at most, and never back.
local steady, wall
local function now()
    if not steady then
        local time = redis.call('TIME')
        wall = time[1] * 1000 + math.floor(time[2] / 1000)
        local kept = redis.call('HMGET', P .. 'clock', 'wall', 'steady')
        local passed = wall - (tonumber(kept[1]) or wall)
        steady = (tonumber(kept[2]) or wall) + math.max(0, math.min(passed, STEP))
    end
    return steady
end
local function nonce_of(issuer, nonce)
    return redis.sha1hex(issuer .. ' ' .. nonce)
end
local function take(issuer, nonce, ttl)
    local used, digest = P .. 'used', nonce_of(issuer, nonce)
    if tonumber(redis.call('ZSCORE', used, digest) or 0) > now() then return false end
    redis.call('ZADD', used, now() + ttl * 1000, digest)
    return true
end
local function is_registered(peer)
    return tonumber(redis.call('ZSCORE', P .. 'due', peer) or 0) > now()
end
local function is_hidden(peer)
    return redis.call('SISMEMBER', P .. 'hidden', peer) == 1
end
-- What was written in another version is as good as nothing.
local function read(key)
    local text = redis.call('GET', key)
    local is_json, value = pcall(cjson.decode, text or '')
    if is_json and type(value) == 'table' and value.v == V then return value end
    return nil
end
local alive = {}
local function lives(instance)
    if alive[instance] == nil then
        alive[instance] = redis.call('EXISTS', P .. 'instance:' .. instance) == 1
    end
    return alive[instance]
end
local function stream_of(peer)
    local at = read(P .. 'at:' .. peer)
    if at and lives(at.instance) then return at end
    return nil
end
local function attach(peer, instance, serial, presence)
    local at = cjson.encode({v = V, instance = instance, serial = tonumber(serial)})
    redis.call('SET', P .. 'at:' .. peer, at, 'EX', presence)
end
local function is_at(at, instance, serial)
    return at ~= nil and at.instance == instance and at.serial == tonumber(serial)
end
-- 1 (online) or 0, the registration if it is asked for, a blank, the record; or nothing.
local function show(peer, is_whole)
    local record = redis.call('GET', P .. 'record:' .. peer)
    if not record or not is_registered(peer) or is_hidden(peer) then return false end
    local signed = is_whole and redis.call('GET', P .. 'registration:' .. peer) or ''
    return (stream_of(peer) and '1' or '0') .. signed .. ' ' .. record
end
local function unlist(peer)
    local name = redis.call('HGET', P .. 'names', peer)
    if name then
        redis.call('ZREM', P .. 'name:' .. name, peer)
        redis.call('HDEL', P .. 'names', peer)
    end
    redis.call('ZREM', P .. 'ids', peer)
    redis.call('ZREM', P .. 'due', peer)
    redis.call('SREM', P .. 'hidden', peer)
end
local function forget(peer)
    redis.call('DEL', P .. 'record:' .. peer, P .. 'registration:' .. peer)
    unlist(peer)
end
local function tell_end(at, mine, peer, event, after)
    if at and at.instance ~= mine then
        local message = {v = V, type = 'end', peer = peer, serial = at.serial, event = event}
        if after and after ~= '' then
            message.successor, message.after = mine, tonumber(after)
        end
        redis.call('PUBLISH', P .. 'to:' .. at.instance, cjson.encode(message))
    end
end
-- A nameplate while it lasts: owner, source, origin, message, response, completion and its end.
local function nameplate(name)
    local found = redis.call('HMGET', P .. 'nameplate:' .. name,
        'owner', 'source', 'origin', 'message', 'response', 'completion', 'ends')
    if found[1] and tonumber(found[7]) > now() then return found end
    return nil
end
local function drop_nameplate(name)
    local found = redis.call('HMGET', P .. 'nameplate:' .. name, 'owner', 'source')
    for _, whose in ipairs({found[1] or '', found[2] or ''}) do
        redis.call('ZREM', P .. 'nameplates:' .. whose, name)
    end
    redis.call('ZREM', P .. 'nameplates', name)
    redis.call('DEL', P .. 'nameplate:' .. name)
end

--> REGISTER peer, the username under which it is listed or nothing, record, registration, lease in
-- milliseconds, capacity, 1 if it is shown or 0, nonce, its time to live; is it online?
local peer, username, record, signed, lease, capacity, visible, nonce, ttl = unpack(ARGV)
local key = P .. 'record:' .. peer
if not redis.call('ZSCORE', P .. 'due', peer)
    and redis.call('ZCARD', P .. 'due') >= tonumber(capacity) then
    return 'full'
end
if not take(peer, nonce, ttl) then return 'used' end
redis.call('SET', key, record)
redis.call('SET', P .. 'registration:' .. peer, signed)
if (redis.call('HGET', P .. 'names', peer) or '') ~= username then
    unlist(peer)
    if username ~= '' then
        redis.call('HSET', P .. 'names', peer, username)
        redis.call('ZADD', P .. 'name:' .. username, 0, peer)
        redis.call('ZADD', P .. 'ids', 0, peer)
    end
end
redis.call(visible == '1' and 'SREM' or 'SADD', P .. 'hidden', peer)
redis.call('ZADD', P .. 'due', now() + lease, peer)
return stream_of(peer) and 'online' or 'offline'

--> RENEW peer, lease in milliseconds, renewal, ip
local peer, lease, renewal, ip = unpack(ARGV)
local key = P .. 'record:' .. peer
local record = read(key)
if not record or not is_registered(peer) or renewal == '' or record.ip ~= ip or record.renewal ~= renewal then
    return 'unknown'
end
for _, kept in ipairs({key, P .. 'registration:' .. peer}) do
    redis.call('PERSIST', kept)  -- an older release gave it an expiry
end
redis.call('ZADD', P .. 'due', now() + lease, peer)
return 'done'

--> FIND peer; what show() returns
return show(ARGV[1], true)

--> ONLINE peers; for each a 1 if it is, else a 0
local found = {}
for place, peer in ipairs(ARGV) do
    local is_shown = is_registered(peer) and not is_hidden(peer)
    found[place] = is_shown and stream_of(peer) and '1' or '0'
end
return table.concat(found)

--> PAGE after, limit, and the username if there is one; the id that follows, then a line of show()
-- for each record, with its registration where a name is given
local after, limit, username = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local ids = username and (P .. 'name:' .. username) or (P .. 'ids')
local from = after == '' and '-' or '(' .. after
local peers = redis.call('ZRANGEBYLEX', ids, from, '+', 'LIMIT', 0, limit + 1)
local lines = {#peers > limit and peers[limit] or ''}
for place, peer in ipairs(peers) do
    local shown = place <= limit and show(peer, username)
    if shown then lines[#lines + 1] = shown end
end
return table.concat(lines, '\n')

--> REMOVE peer, this instance, nonce, its time to live
local peer, mine, nonce, ttl = unpack(ARGV)
if not is_registered(peer) then return 'unknown' end
if not take(peer, nonce, ttl) then return 'used' end
local at = P .. 'at:' .. peer
tell_end(read(at), mine, peer, 'removed')
redis.call('DEL', at)
forget(peer)
return 'done'

--> SUBSCRIBE peer, this instance, serial, seconds of presence, nonce, its time to live, the number
-- of the last document that the peer had on the stream before or nothing
local peer, mine, serial, presence, nonce, ttl, after = unpack(ARGV)
if not is_registered(peer) then return 'unknown' end
if not take(peer, nonce, ttl) then return 'used' end
tell_end(read(P .. 'at:' .. peer), mine, peer, 'superseded', after)
attach(peer, mine, serial, presence)
return 'done'

--> ACCEPT peer, nonce, its time to live
local peer, nonce, ttl = unpack(ARGV)
if not is_registered(peer) then return 'unknown' end
return take(peer, nonce, ttl) and 'done' or 'used'

--> UNSUBSCRIBE peer, this instance, serial
local at = P .. 'at:' .. ARGV[1]
if is_at(read(at), ARGV[2], ARGV[3]) then redis.call('DEL', at) end
return 'done'

--> DELIVER issuer, peer, this instance, nonce, its time to live, message for the instance of the
-- stream; the pair that would make it solicited, the pair that it makes or nothing, its bytes, those
-- that may be unsolicited at once or 0, milliseconds after which there may be as many again, seconds
-- that a pair is kept, pairs that are kept, the weight of what an author had, seconds that it is kept,
-- seconds after its last call or answer to an author in which that one reaches a peer that isn't shown
local issuer, peer, mine, nonce, ttl, message = unpack(ARGV)
local theirs, ours, size, most, window, keep, capacity, weight, span, await = unpack(ARGV, 7)
if not is_registered(issuer) then return 'unknown-author' end
if not is_registered(peer) then return 'unknown' end
local budget, had, time = P .. 'strangers:' .. peer, P .. 'from:' .. theirs, now()
local wrote = tonumber(redis.call('ZSCORE', P .. 'wrote', theirs) or 0)
if is_hidden(peer) and wrote <= time + (keep - await) * 1000 then return 'unknown' end
local at = stream_of(peer)
if not at then return 'offline' end
local counts = tonumber(most) > 0 and wrote <= time
local full, sent, ends = time, 0, 0
if counts then
    full = math.max(time, tonumber(redis.call('GET', budget) or 0))
    local left = most - (full - time) * most / window
    local kept = redis.call('HMGET', had, 'bytes', 'ends')
    ends = tonumber(kept[2]) or 0
    if ends > time then sent = tonumber(kept[1]) else ends = time + span * 1000 end
    if size + weight * sent > left then return 'unsolicited' end
end
if not take(issuer, nonce, ttl) then return 'used' end
if counts then
    full = full + size * window / most
    redis.call('SET', budget, string.format('%.3f', full), 'PX', math.ceil(full - time))
    redis.call('HSET', had, 'bytes', sent + size, 'ends', ends)
    redis.call('PEXPIRE', had, math.max(1, math.ceil(ends - time)))
end
if ours ~= '' then
    redis.call('ZADD', P .. 'wrote', time + keep * 1000, ours)
    local excess = redis.call('ZCARD', P .. 'wrote') - capacity
    if excess > 0 then redis.call('ZREMRANGEBYRANK', P .. 'wrote', 0, excess - 1) end
end
if at.instance == mine then return 'here' end
if redis.call('PUBLISH', P .. 'to:' .. at.instance, message) > 0 then return 'sent' end
redis.call('ZREM', P .. 'used', nonce_of(issuer, nonce))
redis.call('DEL', P .. 'at:' .. peer)
return 'offline'

--> CLAIM name, owner, source, origin, message, lifetime in milliseconds, nameplates that there may
-- be, those of one peer, those of one source, nonce, its time to live
local name, owner, source, origin, message = unpack(ARGV)
local lifetime, capacity, of_peer, of_source, nonce, ttl = unpack(ARGV, 6)
if not is_registered(owner) then return 'unregistered' end
local found = nameplate(name)
if found and not (found[1] == owner and found[4] == message) then return 'taken' end
if not found then
    drop_nameplate(name)
    local limits = {{owner, of_peer, 'too-many'}, {source, of_source, 'too-many'}}
    for _, limit in ipairs(limits) do
        local theirs = P .. 'nameplates:' .. limit[1]
        redis.call('ZREMRANGEBYSCORE', theirs, '-inf', now())
        if redis.call('ZCARD', theirs) >= tonumber(limit[2]) then return limit[3] end
    end
    if redis.call('ZCOUNT', P .. 'nameplates', now(), '+inf') >= tonumber(capacity) then
        return 'full'
    end
end
if not take(owner, nonce, ttl) then return 'used-document' end
if not found then
    local ends = now() + lifetime
    redis.call('HSET', P .. 'nameplate:' .. name, 'owner', owner, 'source', source,
        'origin', origin, 'message', message, 'response', '', 'completion', '', 'ends', ends)
    redis.call('ZADD', P .. 'nameplates', ends, name)
    redis.call('ZADD', P .. 'nameplates:' .. owner, ends, name)
    redis.call('ZADD', P .. 'nameplates:' .. source, ends, name)
end
return 'done'

--> NAMEPLATE name; what stands there, its end replaced by the milliseconds until that
local found = nameplate(ARGV[1])
if not found then return false end
found[7] = tostring(math.floor(found[7] - now()))
return found

--> RESPOND name, response; the owner's stream is told
local name, response = unpack(ARGV)
local found = nameplate(name)
if not found then return 'unknown' end
if found[5] ~= '' then return found[5] == response and 'done' or 'used' end
redis.call('HSET', P .. 'nameplate:' .. name, 'response', response)
local at = stream_of(found[1])
if at then
    local message = {v = V, type = 'nameplate', peer = found[1], nameplate = name}
    redis.call('PUBLISH', P .. 'to:' .. at.instance, cjson.encode(message))
end
return 'done'

--> COMPLETE name, owner, completion, nonce, its time to live
local name, owner, completion, nonce, ttl = unpack(ARGV)
local found = nameplate(name)
if not found then return 'unknown' end
if found[1] ~= owner then return 'not-yours' end
if found[5] == '' then return 'unanswered' end
if found[6] ~= '' and found[6] ~= completion then return 'used' end
if not take(owner, nonce, ttl) then return 'used-document' end
redis.call('HSET', P .. 'nameplate:' .. name, 'completion', completion)
return 'done'

--> RELEASE name, owner, nonce, its time to live
local name, owner, nonce, ttl = unpack(ARGV)
local found = nameplate(name)
if not found then return 'unknown' end
if found[1] ~= owner then return 'not-yours' end
if not take(owner, nonce, ttl) then return 'used-document' end
drop_nameplate(name)
return 'done'

--> FORGET issuer, nonce
return redis.call('ZREM', P .. 'used', nonce_of(ARGV[1], ARGV[2]))

--> CHECK this instance, seconds of presence, then peer and serial of each stream; a letter for each:
-- o it is ours, r it is ours but there is no record, s the peer has a newer one elsewhere
local mine, presence, found = ARGV[1], ARGV[2], {}
for place = 3, #ARGV, 2 do
    local peer, serial = ARGV[place], ARGV[place + 1]
    local at = stream_of(peer)
    if at and not is_at(at, mine, serial) then
        found[#found + 1] = 's'
    else
        attach(peer, mine, serial, presence)
        found[#found + 1] = is_registered(peer) and 'o' or 'r'
    end
end
return table.concat(found)

--> BEAT this instance, seconds that it is believed to live, how many may be swept; how many are
-- registered, and the time by the wall clock in milliseconds
local most, time = tonumber(ARGV[3]), now()
redis.call('HSET', P .. 'clock', 'steady', time, 'wall', wall)
redis.call('SET', P .. 'instance:' .. ARGV[1], '1', 'EX', ARGV[2])
redis.call('ZREMRANGEBYSCORE', P .. 'wrote', '-inf', time)
local old = redis.call('ZCOUNT', P .. 'used', '-inf', time)
if old > 0 then redis.call('ZREMRANGEBYRANK', P .. 'used', 0, math.min(old, 10 * most) - 1) end
for _, peer in ipairs(redis.call('ZRANGEBYSCORE', P .. 'due', '-inf', time, 'LIMIT', 0, most)) do
    forget(peer)
end
local spent = redis.call('ZRANGEBYSCORE', P .. 'nameplates', '-inf', time, 'LIMIT', 0, most)
for _, name in ipairs(spent) do drop_nameplate(name) end
return {redis.call('ZCARD', P .. 'due'), wall}

--> LEAVE this instance
return redis.call('DEL', P .. 'instance:' .. ARGV[1])
