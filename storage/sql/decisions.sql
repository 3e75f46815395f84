-- name: write
INSERT INTO policy_decisions (revision, action, role, site, allow, rule, obligations, input_hash, input, dropped)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bool[], $6::text[], $7::text[], $8::bytea[], $9::text[], $10::bigint[]);

-- name: after
SELECT id, revision, action, role, site, allow, rule, obligations, input_hash, input, dropped,
    (extract(epoch FROM time) * 1000000)::bigint AS time_us
FROM policy_decisions WHERE id > $1 ORDER BY id LIMIT $2;

-- name: before
SELECT id, revision, action, role, site, allow, rule, obligations, input_hash, input, dropped,
    (extract(epoch FROM time) * 1000000)::bigint AS time_us
FROM policy_decisions WHERE id < $1 ORDER BY id DESC LIMIT $2;

-- name: forget
DELETE FROM policy_decisions WHERE id IN (
    SELECT id FROM policy_decisions
    WHERE id <= (SELECT max(id) FROM policy_decisions) - $1::bigint OR time < now() - $2::float8 * interval '1 day'
    ORDER BY id LIMIT $3
) RETURNING id;

-- name: start_shadow
INSERT INTO policy_shadows (revision, author, last_id)
SELECT $1, $2, greatest(0, (SELECT coalesce(max(id), 0) FROM policy_decisions) - $3::bigint)
ON CONFLICT (revision) DO UPDATE SET
    author = excluded.author, started = now(), ended = NULL, last_id = excluded.last_id, evaluated = 0, error = '';

-- name: clear_flips
DELETE FROM policy_flips WHERE revision = $1;

-- name: end_shadow
UPDATE policy_shadows SET ended = now(), error = $2 WHERE ended IS NULL AND revision = $1 RETURNING revision;

-- name: shadow
SELECT revision, author, evaluated, last_id, error, (extract(epoch FROM started) * 1000000)::bigint AS started_us,
    (extract(epoch FROM ended) * 1000000)::bigint AS ended_us
FROM policy_shadows WHERE CASE WHEN $1 = '' THEN ended IS NULL ELSE revision = $1 END;

-- name: flips
SELECT kind, action, role, site, count, example FROM policy_flips WHERE revision = $1 ORDER BY kind, count DESC, action, role, site;

-- name: progress
UPDATE policy_shadows SET last_id = $3, evaluated = evaluated + $4 WHERE revision = $1 AND last_id = $2 AND ended IS NULL RETURNING revision;

-- name: add_flips
INSERT INTO policy_flips (revision, kind, action, role, site, count, example)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[])
ON CONFLICT (revision, kind, action, role, site) DO UPDATE SET count = policy_flips.count + excluded.count;
