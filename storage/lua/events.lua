-- Show committed events: append each to its camera's stream and to the site's, publish it, remember how far the camera got.
-- KEYS: fences, site (a hash: epoch, top, server, and a mark per camera), site stream, then one camera stream per event.
-- ARGV: channel, entries kept, an epoch name to use if a new one is needed, the server's run id,
--       then camera, generation, epoch, offset, head, tail, …
-- An event at or below its camera's mark was shown before: skipped. One that would leave a hole after the mark is refused; a camera without
-- a mark begins where it is. The site's numbering gets a new epoch whenever it was lost or the server is not the one that counted so far.
-- The payload is head .. msgpack(site epoch) .. msgpack(site offset) .. tail. Returns the refused cameras.
local channel, kept, candidate, server = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local site = redis.call('HMGET', KEYS[2], 'epoch', 'top', 'server')
local epoch, top = site[1], tonumber(site[2] or '0')
if not epoch or site[3] ~= server then
    epoch, top = candidate, 0
    redis.call('DEL', KEYS[3])
    redis.call('HSET', KEYS[2], 'epoch', epoch, 'top', '0', 'server', server)
end
local packed_epoch = cmsgpack.pack(epoch)
local refused, known, shown = {}, {}, 0
for i = 5, #ARGV, 6 do
    local camera, generation = ARGV[i], tonumber(ARGV[i + 1])
    if known[camera] == nil then
        local fence = tonumber(redis.call('HGET', KEYS[1], camera) or '-1')
        known[camera] = generation >= fence
        if generation > fence then
            redis.call('HSET', KEYS[1], camera, ARGV[i + 1])
        elseif generation < fence then
            refused[#refused + 1] = camera
        end
    end
    if known[camera] then
        local stream = KEYS[3 + (i + 1) / 6]
        local event_epoch, offset = ARGV[i + 2], tonumber(ARGV[i + 3])
        local mark = redis.call('HGET', KEYS[2], 'mark:' .. camera)
        local last = nil
        if mark then
            local at = string.find(mark, ' ', 1, true)
            if string.sub(mark, 1, at - 1) == event_epoch then
                last = tonumber(string.sub(mark, at + 1))
            elseif offset > 1 then
                last = 0
            end
        end
        if last and offset > last + 1 then
            known[camera] = false
            refused[#refused + 1] = camera
        elseif not last or offset == last + 1 then
            if not last or last == 0 then
                redis.call('DEL', stream)
            end
            top = top + 1
            local payload = ARGV[i + 4] .. packed_epoch .. string.char(0xcf) .. struct.pack('>I8', top) .. ARGV[i + 5]
            redis.call('XADD', stream, 'MAXLEN', '~', kept, ARGV[i + 3] .. '-0', 'p', payload)
            redis.call('XADD', KEYS[3], 'MAXLEN', '~', kept, string.format('%.0f-0', top), 'p', payload)
            redis.call('PUBLISH', channel, payload)
            redis.call('HSET', KEYS[2], 'mark:' .. camera, event_epoch .. ' ' .. ARGV[i + 3])
            shown = shown + 1
        end
    end
end
if shown > 0 then
    redis.call('HSET', KEYS[2], 'top', string.format('%.0f', top))
end
return refused
