-- Take from a token bucket. KEYS: the bucket. ARGV: tokens a second, burst, tokens wanted. Returns {given, milliseconds to the next token}.
-- The clock is the server's own, one for all hubs: backwards it gives nothing, far ahead the burst at most.
local rate, burst, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local found = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = tonumber(found[1] or burst) + math.max(0, now - tonumber(found[2] or now)) * rate / 1000000
tokens = math.min(burst, tokens)
local given = math.min(want, math.floor(tokens))
tokens = tokens - given
redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', now)
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - tokens) / rate * 1000) + 1000)
return {given, math.ceil(math.max(0, 1 - tokens) / rate * 1000)}
