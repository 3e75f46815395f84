-- name: put
INSERT INTO connectors AS c (name, kind, args, paused, who) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE SET kind = $2, args = $3, paused = $4, who = $5, changed = now(), retry_at = now(), failures = 0,
    lease_until = NULL, owner = '', generation = c.generation + 1
RETURNING name;

-- name: remove
DELETE FROM connectors WHERE name = $1 RETURNING name;

-- name: claim
WITH free AS MATERIALIZED (
    SELECT name FROM connectors
    WHERE NOT paused AND kind = ANY ($2::text[]) AND retry_at <= now() AND (lease_until IS NULL OR lease_until < now())
    ORDER BY name LIMIT $3 FOR UPDATE SKIP LOCKED
)
UPDATE connectors c SET owner = $1, generation = c.generation + 1, lease_until = now() + $4::float8 * interval '1 second'
FROM free WHERE c.name = free.name
RETURNING c.name, c.kind, c.args, c.generation, c.state, c.failures;

-- name: renew
UPDATE connectors c SET lease_until = now() + $3::float8 * interval '1 second'
FROM unnest($1::text[], $2::bigint[]) AS g (name, generation)
WHERE c.name = g.name AND c.generation = g.generation AND NOT c.paused AND c.owner <> ''
RETURNING c.name;

-- name: note
UPDATE connectors SET state = $3, failures = 0, error = '' WHERE name = $1 AND generation = $2 AND owner <> '' RETURNING name;

-- name: release
UPDATE connectors SET owner = '', lease_until = NULL, retry_at = now() + $3::float8 * interval '1 second', error = $4,
    failures = CASE WHEN $4 = '' THEN 0 ELSE failures + 1 END
WHERE name = $1 AND generation = $2 AND owner <> ''
RETURNING name;

-- name: all
SELECT name, kind, args, paused, owner, generation, lease_until, retry_at, failures, state, error, who FROM connectors ORDER BY name;

-- name: beat
-- How many workers there are, this one included, and how many connectors are to be owned.
WITH own AS (
    INSERT INTO workers (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET seen = now() RETURNING name
)
SELECT (SELECT count(*) FROM workers WHERE seen > now() - $2::float8 * interval '1 second' AND name <> $1) + (SELECT count(*) FROM own) AS workers,
       (SELECT count(*) FROM connectors WHERE NOT paused) AS connectors;

-- name: leave
DELETE FROM workers WHERE name = $1 OR seen < now() - interval '1 day';

-- name: breaker
SELECT body, version FROM breakers WHERE name = $1;

-- name: first_breaker
INSERT INTO breakers (name, body) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING RETURNING version;

-- name: swap_breaker
UPDATE breakers SET body = $2, version = version + 1, changed = now() WHERE name = $1 AND version = $3 RETURNING version;

-- name: breakers
SELECT name, body, version FROM breakers ORDER BY name;
