-- Forget what is kept of a site's events, for clients to read them anew from the database: the streams of the site and of cameras, under a
-- new epoch of the site's numbering. Fences and marks stay, so what comes goes on where it was.
-- KEYS: site (a hash: epoch, top, …), site stream, then camera streams. ARGV: the new epoch. Returns how many streams there were.
local gone = 0
for i = 2, #KEYS do
    gone = gone + redis.call('DEL', KEYS[i])
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'top', '0')
return gone
