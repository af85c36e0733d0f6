"""The event store's transactions, as Lua that Redis runs one at a time.

Those that write name the log they mean: in a database that was emptied meanwhile they would number entries anew.
"""

from __future__ import annotations

_SAME_LOG = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('the log that was opened is gone') end
"""

ADD_EVENTS = (
    _SAME_LOG
    + """
-- KEYS: id, seq, events, idempotency key, then the list of numbers of each event's user
-- ARGV: id, digest of the body ('' without a key), seconds the key is kept, then each event
-- gives {what became of it (0 stored, 1 seen before, 2 another body), number of the last entry}
if ARGV[2] ~= '' then
    local seen = redis.call('HMGET', KEYS[4], 'body', 'seq')
    if seen[1] and seen[1] ~= ARGV[2] then return {2, 0} end
    if seen[1] then return {1, tonumber(seen[2])} end
end
local seq = tonumber(redis.call('GET', KEYS[2]) or 0)
for n = 4, #ARGV do
    seq = redis.call('INCR', KEYS[2])
    redis.call('ZADD', KEYS[3], seq, seq .. ' ' .. ARGV[n])
    redis.call('RPUSH', KEYS[n + 1], seq)
end
if ARGV[2] ~= '' then
    redis.call('HSET', KEYS[4], 'body', ARGV[2], 'seq', seq)
    redis.call('EXPIRE', KEYS[4], ARGV[3])
end
redis.call('PUBLISH', ARGV[1], seq)
return {0, seq}
"""
)

PUT_ITEM = (
    _SAME_LOG
    + """
-- KEYS: id, seq, marks, numbers of items' entries, number before which fresh lists are void
-- ARGV: id, item, number of its entry so far ('' for none), the change; gives the new number, 0 if it was another entry
local before = redis.call('HGET', KEYS[4], ARGV[2]) or ''
if before ~= ARGV[3] then return 0 end
if before ~= '' then redis.call('ZREMRANGEBYSCORE', KEYS[3], before, before) end
local seq = redis.call('INCR', KEYS[2])
redis.call('ZADD', KEYS[3], seq, seq .. ' i' .. ARGV[4])
redis.call('HSET', KEYS[4], ARGV[2], seq)
redis.call('SET', KEYS[5], seq)
redis.call('PUBLISH', ARGV[1], seq)
return seq
"""
)

ERASE = (
    _SAME_LOG
    + """
-- KEYS: id, seq, marks, events, numbers of the user's events, numbers of erasures, the user's fresh list
-- ARGV: id, the user's digest; gives {number of the entry, how many events there were}
local numbers = redis.call('LRANGE', KEYS[5], 0, -1)
for _, number in ipairs(numbers) do redis.call('ZREMRANGEBYSCORE', KEYS[4], number, number) end
redis.call('DEL', KEYS[5], KEYS[7])
local before = redis.call('HGET', KEYS[6], ARGV[2])
if before then redis.call('ZREMRANGEBYSCORE', KEYS[3], before, before) end
local seq = redis.call('INCR', KEYS[2])
redis.call('ZADD', KEYS[3], seq, seq .. ' x' .. ARGV[2])
redis.call('HSET', KEYS[6], ARGV[2], seq)
redis.call('PUBLISH', ARGV[1], seq)
return {seq, #numbers}
"""
)

_UP_TO_DATE = """
-- KEYS: the user's fresh list, numbers of the user's events, numbers of erasures, number before which lists are void
local function up_to_date(position, digest)
    local event = redis.call('LINDEX', KEYS[2], -1) or 0
    local erased = redis.call('HGET', KEYS[3], digest) or 0
    local void = redis.call('GET', KEYS[4]) or 0
    return math.max(tonumber(event), tonumber(erased), tonumber(void)) <= tonumber(position)
end
"""

PUT_FRESH = (
    _UP_TO_DATE
    + """
-- ARGV: the user's digest, position, snapshot, list, seconds it is kept
if up_to_date(ARGV[2], ARGV[1]) then
    redis.call('HSET', KEYS[1], 'position', ARGV[2], 'snapshot', ARGV[3], 'answer', ARGV[4])
    redis.call('EXPIRE', KEYS[1], ARGV[5])
end
"""
)

GET_FRESH = (
    _UP_TO_DATE
    + """
-- ARGV: the user's digest, snapshot; gives the list or nothing
local found = redis.call('HMGET', KEYS[1], 'position', 'snapshot', 'answer')
if found[1] and found[2] == ARGV[2] and up_to_date(found[1], ARGV[1]) then return found[3] end
return false
"""
)

COMPACT = (
    _SAME_LOG
    + """
-- KEYS: id, seq, events, number before which fresh lists are void, then the list of numbers of each event's user
-- ARGV: id, then the events' numbers; gives how many were removed
local removed = 0
for n = 2, #ARGV do
    removed = removed + redis.call('ZREMRANGEBYSCORE', KEYS[3], ARGV[n], ARGV[n])
    redis.call('LREM', KEYS[n + 3], 1, ARGV[n])
end
redis.call('SET', KEYS[4], redis.call('GET', KEYS[2]))
return removed
"""
)
