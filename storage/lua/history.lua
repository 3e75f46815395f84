-- Read a stream with its position in one moment. KEYS: site, stream. ARGV: camera or '' for the site's own, after, limit,
-- and to begin the numbering of a site that has none: an epoch name, the server's run id.
-- Returns epoch, top offset, payloads. The epoch stays empty where the server takes no writes.
local epoch, top = '', '0'
if ARGV[1] == '' then
    local site = redis.call('HMGET', KEYS[1], 'epoch', 'top')
    epoch, top = site[1] or '', site[2] or '0'
    if epoch == '' and ARGV[4] then
        local begun = redis.pcall('HSET', KEYS[1], 'epoch', ARGV[4], 'top', '0', 'server', ARGV[5])
        if type(begun) == 'number' then
            redis.call('DEL', KEYS[2])
            epoch = ARGV[4]
        end
    end
else
    local mark = redis.call('HGET', KEYS[1], 'mark:' .. ARGV[1])
    if mark then
        local at = string.find(mark, ' ', 1, true)
        epoch, top = string.sub(mark, 1, at - 1), string.sub(mark, at + 1)
    end
end
local payloads = {}
if tonumber(ARGV[3]) > 0 then
    local found = redis.call('XRANGE', KEYS[2], string.format('%.0f-0', tonumber(ARGV[2]) + 1), '+', 'COUNT', ARGV[3])
    for _, entry in ipairs(found) do
        payloads[#payloads + 1] = entry[2][2]
    end
end
return {epoch, top, payloads}
