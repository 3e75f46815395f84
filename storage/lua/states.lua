-- Show states: keep each as the last one and publish it.
-- KEYS: fences, versions, states. ARGV: channel prefix, then camera, generation, version, payload, …
-- Returns the cameras below the fence, and those whose state reached nobody. A state that is not newer than the
-- one shown is dropped.
local refused, unheard = {}, {}
for i = 2, #ARGV, 4 do
    local camera, generation, version = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
    local fence = tonumber(redis.call('HGET', KEYS[1], camera) or '-1')
    if generation < fence then
        refused[#refused + 1] = camera
    else
        if generation > fence then
            redis.call('HSET', KEYS[1], camera, ARGV[i + 1])
        end
        local shown_generation, shown_version = -1, -1
        local shown = redis.call('HGET', KEYS[2], camera)
        if shown then
            local at = string.find(shown, ' ', 1, true)
            shown_generation, shown_version = tonumber(string.sub(shown, 1, at - 1)), tonumber(string.sub(shown, at + 1))
        end
        if generation > shown_generation or (generation == shown_generation and version > shown_version) then
            redis.call('HSET', KEYS[2], camera, ARGV[i + 1] .. ' ' .. ARGV[i + 2])
            redis.call('HSET', KEYS[3], camera, ARGV[i + 3])
            if redis.call('PUBLISH', ARGV[1] .. camera, ARGV[i + 3]) == 0 then
                unheard[#unheard + 1] = camera
            end
        end
    end
end
return {refused, unheard}
