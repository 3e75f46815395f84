-- Publish one message with an entry per camera: a wall tick of summaries, or a heartbeat.
-- KEYS: fences, and for summaries the hash that keeps the last of each camera.
-- ARGV: channel, head, then camera, generation, entry, … Returns the cameras below the fence; their entries are left out.
local refused, entries = {}, {}
for i = 3, #ARGV, 3 do
    local camera, generation = ARGV[i], tonumber(ARGV[i + 1])
    local fence = tonumber(redis.call('HGET', KEYS[1], camera) or '-1')
    if generation < fence then
        refused[#refused + 1] = camera
    else
        if generation > fence then
            -- A heartbeat needs no memory: of a Redis that is full it must still tell just that.
            local raise = KEYS[2] and redis.call or redis.pcall
            raise('HSET', KEYS[1], camera, ARGV[i + 1])
        end
        entries[#entries + 1] = ARGV[i + 2]
        if KEYS[2] then
            redis.call('HSET', KEYS[2], camera, ARGV[i + 2])
        end
    end
end
if #entries > 0 then
    redis.call('PUBLISH', ARGV[1], ARGV[2] .. string.char(0xdc) .. struct.pack('>I2', #entries) .. table.concat(entries))
end
return refused
