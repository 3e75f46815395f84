-- name: make
INSERT INTO sinks (name, kind, spec, secrets, who, state) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING RETURNING name;

-- name: begin_now
INSERT INTO sink_cursors (sink, camera, epoch, "offset", begin_epoch, begin_offset)
SELECT $1, camera, epoch, last_offset, epoch, last_offset FROM positions;

-- name: get
SELECT name, kind, spec, state, reason, secrets, who, created, changed FROM sinks WHERE name = $1;

-- name: all
SELECT name, kind, spec, state, reason, secrets, who, created, changed FROM sinks ORDER BY name;

-- name: remove
DELETE FROM sinks WHERE name = $1 RETURNING name;

-- name: set_state
UPDATE sinks SET state = $2, reason = $3, changed = now() WHERE name = $1 RETURNING name;

-- name: pause_connector
-- Whoever has it loses it.
UPDATE connectors SET paused = $2, changed = now(), retry_at = now(), failures = 0, lease_until = NULL, owner = '', error = '',
    generation = generation + 1
WHERE name = $1;

-- name: set_secrets
UPDATE sinks SET secrets = $2, changed = now() WHERE name = $1 RETURNING name;

-- name: disable
WITH mine AS (
    UPDATE connectors SET paused = true, owner = '', lease_until = NULL, generation = generation + 1, changed = now()
    WHERE name = $1 AND generation = $2 AND owner <> '' RETURNING name
)
UPDATE sinks SET state = 'disabled', reason = $4, changed = now() FROM mine WHERE sinks.name = $3 RETURNING sinks.name;

-- name: adopt
-- Of a camera that is younger than the sink nothing can be missing; of an older one days may be gone already.
INSERT INTO sink_cursors (sink, camera, epoch)
SELECT $1, p.camera, CASE WHEN c.created > s.created THEN p.epoch ELSE '' END
FROM positions p JOIN cameras c ON c.camera = p.camera JOIN sinks s ON s.name = $1
WHERE NOT EXISTS (SELECT FROM sink_cursors m WHERE m.sink = $1 AND m.camera = p.camera)
ON CONFLICT (sink, camera) DO NOTHING;

-- name: due
SELECT m.camera, c.site, c.tags, m.epoch, m."offset", m.sent, m.received, m.place, m.failures, m.since, m.begin_epoch, m.begin_offset,
       p.epoch AS tip_epoch, p.last_offset
FROM sink_cursors m JOIN positions p ON p.camera = m.camera JOIN cameras c ON c.camera = m.camera
WHERE m.sink = $1 AND NOT m.parked AND (m.retry_at IS NULL OR m.retry_at <= now())
    AND (m.epoch <> p.epoch OR m."offset" < p.last_offset) AND m.camera <> ALL ($2::text[])
ORDER BY m.changed LIMIT $3;

-- name: beyond
SELECT m.camera, c.site, c.tags, m.epoch, m."offset", m.sent, m.received, m.place, m.failures, m.since, m.begin_epoch, m.begin_offset,
       p.epoch AS tip_epoch, p.last_offset
FROM sink_cursors m JOIN positions p ON p.camera = m.camera JOIN cameras c ON c.camera = m.camera
WHERE m.sink = $1 AND m.place > $2;

-- name: read
-- Per camera a range of the key; {window} is a condition on `received` by constants (`storage.events.windows`).
SELECT e.*, EXISTS (SELECT FROM cameras c WHERE c.camera = e.camera AND c.site = e.site) AS home
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS m (camera, epoch, "offset") CROSS JOIN LATERAL (
    SELECT camera, epoch, "offset", received, body, hash, site FROM events
    WHERE camera = m.camera AND (epoch, "offset") > (m.epoch, m."offset") AND {window}
    ORDER BY epoch, "offset" LIMIT $4
) AS e
ORDER BY e.camera, e.epoch, e."offset";

-- name: move
WITH mine AS (SELECT name FROM connectors WHERE name = $1 AND generation = $2 AND owner <> '' FOR SHARE)
UPDATE sink_cursors m SET epoch = g.epoch, "offset" = g."offset", sent = g.sent, received = g.received, place = g.place, changed = now(),
    failures = 0, since = NULL, retry_at = NULL, error = '', parked = false
FROM mine, unnest($4::text[], $5::text[], $6::bigint[], $7::text[], $8::bigint[], $9::text[], $10::timestamptz[], $11::bigint[])
    AS g (camera, before_epoch, before_offset, epoch, "offset", sent, received, place)
WHERE m.sink = $3 AND m.camera = g.camera AND m.epoch = g.before_epoch AND m."offset" = g.before_offset
RETURNING m.camera;

-- name: fail
WITH mine AS (SELECT name FROM connectors WHERE name = $1 AND generation = $2 AND owner <> '' FOR SHARE)
UPDATE sink_cursors m SET failures = m.failures + 1, since = coalesce(m.since, now()), error = g.error, parked = g.parked,
    retry_at = now() + g.after_s * interval '1 second'
FROM mine, unnest($4::text[], $5::text[], $6::bigint[], $7::text[], $8::float8[], $9::boolean[])
    AS g (camera, before_epoch, before_offset, error, after_s, parked)
WHERE m.sink = $3 AND m.camera = g.camera AND m.epoch = g.before_epoch AND m."offset" = g.before_offset
RETURNING m.camera;

-- name: lose
INSERT INTO sink_holes (sink, camera, epoch, first, last, kind, reason)
SELECT $3, g.camera, g.epoch, g.first, g.last, 'lost', g.reason
FROM (SELECT name FROM connectors WHERE name = $1 AND generation = $2 AND owner <> '' FOR SHARE) AS mine,
    unnest($4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[]) AS g (camera, epoch, first, last, reason)
ON CONFLICT (sink, camera, epoch, first) DO NOTHING;

-- name: skip
WITH parked AS (
    UPDATE sink_cursors SET parked = false, failures = 0, since = NULL, retry_at = NULL, changed = now()
    WHERE sink = $1 AND camera = $2 AND parked RETURNING error
)
INSERT INTO sink_holes AS h (sink, camera, epoch, first, last, kind, reason, error, who)
SELECT $1, $2, $3, $4, $4, 'skipped', $5, parked.error, $6 FROM parked
ON CONFLICT (sink, camera, epoch, first) DO UPDATE SET silent = true, reason = $5
RETURNING camera;

-- name: retry
UPDATE sink_cursors SET parked = false, failures = 0, since = NULL, retry_at = NULL WHERE sink = $1 AND camera = $2
    AND (parked OR retry_at IS NOT NULL)
RETURNING camera;

-- name: holes
SELECT camera, epoch, first, last, kind, reason, error, silent, who, at FROM sink_holes
WHERE sink = $1 AND ($2::text[] IS NULL OR camera = ANY ($2)) ORDER BY at DESC, camera, epoch, first DESC LIMIT $3;

-- name: attempted
INSERT INTO sink_attempts (sink, camera, event, ms, status, outcome, detail, replay)
SELECT s.name, g.* FROM sinks s,
    unnest($2::text[], $3::text[], $4::int[], $5::int[], $6::text[], $7::text[], $8::boolean[]) AS g
WHERE s.name = $1;

-- name: attempts
SELECT camera, event, at, ms, status, outcome, detail, replay FROM sink_attempts
WHERE sink = $1 AND ($2::text IS NULL OR camera = $2) ORDER BY id DESC LIMIT $3;

-- name: forget_attempts
DELETE FROM sink_attempts WHERE sink = $1 AND (at < now() - $3::float8 * interval '1 day'
    OR id <= coalesce((SELECT id FROM sink_attempts WHERE sink = $1 ORDER BY id DESC OFFSET $2 LIMIT 1), 0));

-- name: lag
-- A camera without a cursor is one that the sink has not come to yet.
SELECT count(*) FILTER (WHERE behind) AS cameras, coalesce(sum(events), 0)::bigint AS events,
    count(*) FILTER (WHERE parked) AS parked, count(*) FILTER (WHERE failures > 0) AS failing,
    coalesce((array_agg(error ORDER BY retry_at DESC NULLS LAST) FILTER (WHERE error <> ''))[1], '') AS error,
    coalesce(extract(epoch FROM now() - min(changed) FILTER (WHERE behind)), 0)::float8 AS behind_s
FROM (
    SELECT m.parked, m.failures, m.error, m.retry_at, m.changed,
        m.camera IS NULL AND p.last_offset > 0 OR m.epoch <> p.epoch OR m."offset" < p.last_offset AS behind,
        CASE WHEN m.epoch = p.epoch THEN greatest(p.last_offset - m."offset", 0) ELSE p.last_offset END AS events
    FROM positions p LEFT JOIN sink_cursors m ON m.sink = $1 AND m.camera = p.camera
) AS found;

-- name: cursors
SELECT m.camera, m.epoch, m."offset", p.last_offset, m.sent, m.failures, m.parked, m.error, m.retry_at, m.changed
FROM sink_cursors m JOIN positions p ON p.camera = m.camera WHERE m.sink = $1 AND ($3::text IS NULL OR m.camera = $3)
ORDER BY m.parked DESC, m.failures DESC, p.last_offset - m."offset" DESC, m.camera LIMIT $2;

-- name: replay
INSERT INTO sink_replays (sink, camera, epoch, next, last, who)
SELECT name, $2, $3, $4, $5, $6 FROM sinks WHERE name = $1 RETURNING id;

-- name: replays
SELECT r.id, r.camera, r.epoch, r.next, r.last, r.failures, c.site, c.tags
FROM (SELECT DISTINCT ON (camera) * FROM sink_replays WHERE sink = $1 ORDER BY camera, id) AS r
    JOIN cameras c ON c.camera = r.camera
WHERE r.retry_at <= now() AND r.camera <> ALL ($3::text[]) ORDER BY r.id LIMIT $2;

-- name: replayed
WITH mine AS (SELECT name FROM connectors WHERE name = $1 AND generation = $2 AND owner <> '' FOR SHARE),
over AS (DELETE FROM sink_replays r USING mine WHERE r.sink = $3 AND r.id = $4 AND r.last < $5 RETURNING r.id),
on_it AS (
    UPDATE sink_replays r SET failures = CASE WHEN $6 = '' THEN 0 ELSE r.failures + 1 END, next = $5, error = $6,
        retry_at = now() + $7::float8 * interval '1 second'
    FROM mine WHERE r.sink = $3 AND r.id = $4 AND r.last >= $5 RETURNING r.id
)
SELECT id FROM over UNION ALL SELECT id FROM on_it;
