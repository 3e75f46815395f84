-- Put something else in the place of a field that still is what was read.
-- KEYS: a hash. ARGV: field, what was read, what is to stand there. Returns 1 when it was done.
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
    return 1
end
return 0
