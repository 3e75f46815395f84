-- Publish in a plain channel: number it, keep it, send it, in one step.
-- KEYS: meta (a hash: epoch, top), stream. ARGV: pub/sub channel, how many to keep (0: none), seconds to keep them, seconds to keep the
-- numbering, an epoch to use if there is none, the envelope. The payload is "<offset> <epoch> <envelope>". Returns epoch and offset.
local channel, size, ttl, meta_ttl, candidate, envelope = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if size == 0 then
    redis.call('PUBLISH', channel, '0 - ' .. envelope)
    return {'', 0}
end
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then
    epoch = candidate
    redis.call('DEL', KEYS[2])
    redis.call('HSET', KEYS[1], 'epoch', epoch)
end
local top = redis.call('HINCRBY', KEYS[1], 'top', 1)
redis.call('EXPIRE', KEYS[1], meta_ttl)
local offset = string.format('%.0f', top)
redis.call('XADD', KEYS[2], 'MAXLEN', size, offset .. '-0', 'p', envelope)
redis.call('EXPIRE', KEYS[2], ttl)
redis.call('PUBLISH', channel, offset .. ' ' .. epoch .. ' ' .. envelope)
return {epoch, top}
