-- name: declare
-- The release's own: a changed timing is reckoned anew, what people set (paused) stays.
INSERT INTO schedules AS s (name, kind, args, max_attempts, every_s, at, zone, jitter_s, who)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::float8[], $6::text[], $7::text[], $8::float8[], $9::text[])
ON CONFLICT (name) DO UPDATE SET
    kind = excluded.kind, args = excluded.args, max_attempts = excluded.max_attempts, every_s = excluded.every_s, at = excluded.at,
    zone = excluded.zone, jitter_s = excluded.jitter_s, slot = NULL, due = NULL, changed = now()
WHERE (s.kind, s.args, s.max_attempts, s.every_s, s.at, s.zone, s.jitter_s)
    IS DISTINCT FROM (excluded.kind, excluded.args, excluded.max_attempts, excluded.every_s, excluded.at, excluded.zone, excluded.jitter_s)
RETURNING name;

-- name: due
SELECT name, kind, args, max_attempts, every_s, at, zone, jitter_s, slot, due, paused, last_slot, last_job, now() AS now
FROM schedules WHERE NOT paused AND (due IS NULL OR due <= now()) ORDER BY due NULLS FIRST, name LIMIT $1;

-- name: all
SELECT name, kind, args, max_attempts, every_s, at, zone, jitter_s, slot, due, paused, last_slot, last_job, now() AS now
FROM schedules ORDER BY name;

-- name: advance
-- From the slot that the caller saw to the next: whoever comes second changes nothing, and makes no job.
WITH moved AS (
    UPDATE schedules SET last_slot = coalesce(slot, last_slot), slot = $3, due = $4
    WHERE name = $1 AND slot IS NOT DISTINCT FROM $2 AND NOT paused
    RETURNING name, kind, args, max_attempts
)
INSERT INTO jobs (kind, key, args, max_attempts, who)
SELECT kind, 'schedule:' || name, args, max_attempts, 'schedule:' || name FROM moved WHERE $2::timestamptz IS NOT NULL
ON CONFLICT (kind, key) WHERE key IS NOT NULL AND state IN ('ready', 'running') DO NOTHING
RETURNING id;

-- name: run_now
INSERT INTO jobs (kind, key, args, max_attempts, who)
SELECT kind, 'schedule:' || name, args, max_attempts, $2 FROM schedules WHERE name = $1
ON CONFLICT (kind, key) WHERE key IS NOT NULL AND state IN ('ready', 'running') DO NOTHING
RETURNING id;

-- name: ran
UPDATE schedules SET last_job = $2 WHERE name = $1;

-- name: pause
UPDATE schedules SET paused = $2, slot = NULL, due = NULL, changed = now() WHERE name = $1 AND paused <> $2 RETURNING name;
