-- Raise fences. KEYS: fences. ARGV: camera, generation, … Returns the cameras whose fence already is higher.
local refused = {}
for i = 1, #ARGV, 2 do
    local camera, generation = ARGV[i], tonumber(ARGV[i + 1])
    local fence = tonumber(redis.call('HGET', KEYS[1], camera) or '-1')
    if generation > fence then
        redis.call('HSET', KEYS[1], camera, ARGV[i + 1])
    elseif generation < fence then
        refused[#refused + 1] = camera
    end
end
return refused
