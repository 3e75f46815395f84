-- name: wanted
SELECT version, body, who, (extract(epoch FROM changed) * 1000000)::bigint AS changed_us FROM cluster_wanted;

-- name: first_want
INSERT INTO cluster_wanted (version, body, who) VALUES (1, $1, $2) ON CONFLICT (one) DO NOTHING RETURNING version;

-- name: want
UPDATE cluster_wanted SET version = version + 1, body = $1, who = $2, changed = now() WHERE version = $3 RETURNING version;

-- name: cordons
SELECT node, reason, who, (extract(epoch FROM since) * 1000000)::bigint AS since_us FROM cluster_cordons ORDER BY node;

-- name: cordon
INSERT INTO cluster_cordons (node, reason, who) VALUES ($1, $2, $3) ON CONFLICT (node) DO NOTHING RETURNING node;

-- name: uncordon
DELETE FROM cluster_cordons WHERE node = $1 RETURNING node;

-- name: orders
SELECT kind, id, paused, alone, node, reason, who, (extract(epoch FROM changed) * 1000000)::bigint AS changed_us
FROM cluster_orders ORDER BY kind, id;

-- name: order
INSERT INTO cluster_orders AS o (kind, id, paused, alone, node, reason, who)
VALUES ($1, $2, coalesce($3::boolean, false), coalesce($4::boolean, false), coalesce($5::text, ''), $6, $7)
ON CONFLICT (kind, id) DO UPDATE SET
    paused = coalesce($3::boolean, o.paused), alone = coalesce($4::boolean, o.alone), node = coalesce($5::text, o.node),
    reason = $6, who = $7, changed = now()
RETURNING kind, id, paused, alone, node, reason, who, (extract(epoch FROM changed) * 1000000)::bigint AS changed_us;

-- name: drop_order
DELETE FROM cluster_orders WHERE kind = $1 AND id = $2 AND NOT paused AND NOT alone AND node = '';

-- name: troubles
SELECT camera, failures, restarts, quarantined, alone, reason, who, extract(epoch FROM now() - since)::float8 AS age_s
FROM cluster_troubles ORDER BY camera;

-- name: quarantine
INSERT INTO cluster_troubles AS t (camera, failures, restarts, quarantined, reason, who)
SELECT camera, 0, 0, true, $2, $3 FROM cameras WHERE camera = $1 AND deleted IS NULL
ON CONFLICT (camera) DO UPDATE SET
    quarantined = true, reason = $2, who = $3, since = CASE WHEN t.quarantined THEN t.since ELSE now() END
RETURNING camera;

-- name: release
UPDATE cluster_troubles SET failures = 0, quarantined = false, alone = false, reason = '', who = '', since = now()
WHERE camera = $1 AND (quarantined OR alone OR failures > 0) RETURNING camera;

-- name: note_troubles
INSERT INTO cluster_troubles AS t (camera, failures, restarts, quarantined, alone, reason)
SELECT g.camera, g.failures, g.restarts, g.quarantined, g.alone, g.reason
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bool[], $5::bool[], $6::text[])
    AS g (camera, failures, restarts, quarantined, alone, reason)
JOIN cameras c USING (camera)
ORDER BY g.camera
ON CONFLICT (camera) DO UPDATE SET
    failures = excluded.failures, restarts = greatest(t.restarts, excluded.restarts), quarantined = excluded.quarantined,
    alone = excluded.alone,
    reason = excluded.reason, since = CASE WHEN t.quarantined = excluded.quarantined THEN t.since ELSE now() END
WHERE t.who = '';

-- name: expire_keys
UPDATE cluster_operations SET key = NULL WHERE who = $1 AND key = $2 AND started < now() - $3::float8 * interval '1 second';

-- name: ask
INSERT INTO cluster_operations (id, kind, target, params, who, token, key, request)
VALUES ($1, $2, $3, $4, $5, $6, nullif($7, ''), $8)
ON CONFLICT (who, key) WHERE key IS NOT NULL DO NOTHING
RETURNING id;

-- name: live_key
SELECT id FROM cluster_operations WHERE who = $1 AND key = $2 AND started >= now() - $3::float8 * interval '1 second';

-- name: same_key
SELECT id, request FROM cluster_operations WHERE who = $1 AND key = $2;

-- name: operation
SELECT number, id, kind, target, params, state, done, total, detail, figures, who, token,
    (extract(epoch FROM started) * 1000000)::bigint AS started_us, (extract(epoch FROM updated) * 1000000)::bigint AS updated_us,
    (extract(epoch FROM finished) * 1000000)::bigint AS finished_us
FROM cluster_operations WHERE id = $1;

-- name: operations
SELECT number, id, kind, target, params, state, done, total, detail, figures, who, token,
    (extract(epoch FROM started) * 1000000)::bigint AS started_us, (extract(epoch FROM updated) * 1000000)::bigint AS updated_us,
    (extract(epoch FROM finished) * 1000000)::bigint AS finished_us
FROM cluster_operations WHERE number < $1 AND ($3 = '' OR state = $3) ORDER BY number DESC LIMIT $2;

-- name: open_operations
SELECT number, id, kind, target, params, state, done, total, detail, figures, who, token,
    (extract(epoch FROM started) * 1000000)::bigint AS started_us, (extract(epoch FROM updated) * 1000000)::bigint AS updated_us,
    (extract(epoch FROM finished) * 1000000)::bigint AS finished_us
FROM cluster_operations WHERE finished IS NULL ORDER BY number LIMIT $1;

-- name: begin
UPDATE cluster_operations SET state = 'running', total = $2, detail = $3, updated = now() WHERE id = $1 AND state = 'waiting' RETURNING id;

-- name: progress
UPDATE cluster_operations SET done = $2, total = $3, detail = $4, figures = (figures::jsonb || $5::text::jsonb)::text, updated = now()
WHERE id = $1 AND state = 'running' RETURNING id;

-- name: finish
UPDATE cluster_operations SET state = $2, detail = $3, figures = (figures::jsonb || $4::text::jsonb)::text, updated = now(), finished = now()
WHERE id = $1 AND finished IS NULL RETURNING id;

-- name: decided
INSERT INTO cluster_decisions (subject, what, why) SELECT * FROM unnest($1::text[], $2::text[], $3::text[]);

-- name: decisions
SELECT number, subject, what, why, (extract(epoch FROM time) * 1000000)::bigint AS time_us
FROM cluster_decisions WHERE number < $1 ORDER BY number DESC LIMIT $2;

-- name: decisions_of
SELECT number, subject, what, why, (extract(epoch FROM time) * 1000000)::bigint AS time_us
FROM cluster_decisions WHERE subject = $3 AND number < $1 ORDER BY number DESC LIMIT $2;

-- name: forget_operations
DELETE FROM cluster_operations WHERE number IN (
    SELECT number FROM cluster_operations
    WHERE number <= (SELECT max(number) FROM cluster_operations) - $1::bigint AND finished IS NOT NULL
    ORDER BY number LIMIT $2
) RETURNING number;

-- name: forget_decisions
DELETE FROM cluster_decisions WHERE number IN (
    SELECT number FROM cluster_decisions
    WHERE number <= (SELECT max(number) FROM cluster_decisions) - $1::bigint
    ORDER BY number LIMIT $2
) RETURNING number;
