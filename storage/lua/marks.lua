-- Set lost marks to what the camera's row says; nothing old is shown again.
-- KEYS: fences, site, site stream, then one camera stream per mark.
-- ARGV: an epoch name, the server's run id, then camera, generation, epoch, offset, … Returns the cameras below the fence.
-- What was committed and never shown is in no stream, so the site's numbering gets a new epoch: its clients reload. A camera that never
-- had an event takes nothing away from anybody and leaves the epoch alone,
-- and so does a repeated call.
local candidate, server = ARGV[1], ARGV[2]
local site = redis.call('HMGET', KEYS[2], 'epoch', 'server')
local renew = not site[1] or site[2] ~= server
local refused = {}
for i = 3, #ARGV, 4 do
    local camera, generation, offset = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 3])
    local fence = tonumber(redis.call('HGET', KEYS[1], camera) or '-1')
    if generation < fence then
        refused[#refused + 1] = camera
    else
        if generation > fence then
            redis.call('HSET', KEYS[1], camera, ARGV[i + 1])
        end
        local mark = ARGV[i + 2] .. ' ' .. ARGV[i + 3]
        if redis.call('HGET', KEYS[2], 'mark:' .. camera) ~= mark then
            redis.call('DEL', KEYS[3 + (i + 1) / 4])
            redis.call('HSET', KEYS[2], 'mark:' .. camera, mark)
            renew = renew or offset > 0
        end
    end
end
if renew then
    redis.call('DEL', KEYS[3])
    redis.call('HSET', KEYS[2], 'epoch', candidate, 'top', '0', 'server', server)
end
return refused
