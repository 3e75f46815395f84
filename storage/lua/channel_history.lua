-- Read a plain channel: its position, and what it keeps. A channel that has no epoch yet gets one, so that who subscribes now can recover.
-- KEYS: meta, stream. ARGV: an epoch to use if there is none, seconds to keep the numbering, first id, last id, at most, '1' for newest
-- first. Returns epoch, top, and the pairs of offset and envelope.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then
    epoch = ARGV[1]
    redis.call('DEL', KEYS[2])
    redis.call('HSET', KEYS[1], 'epoch', epoch)
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
local top = tonumber(redis.call('HGET', KEYS[1], 'top') or '0')
local found, limit = {}, tonumber(ARGV[5])
if limit > 0 then
    local entries
    if ARGV[6] == '1' then
        entries = redis.call('XREVRANGE', KEYS[2], ARGV[4], ARGV[3], 'COUNT', limit)
    else
        entries = redis.call('XRANGE', KEYS[2], ARGV[3], ARGV[4], 'COUNT', limit)
    end
    for _, entry in ipairs(entries) do
        found[#found + 1] = string.match(entry[1], '^%d+')
        found[#found + 1] = entry[2][2]
    end
end
return {epoch, top, found}
