-- name: enqueue
-- Without keys; the ids, in this order.
INSERT INTO jobs (kind, lane, args, run_at, max_attempts, deadline, who)
SELECT kind, lane, args, now() + after_s * interval '1 second', max_attempts,
       CASE WHEN deadline_s > 0 THEN now() + deadline_s * interval '1 second' END, who
FROM unnest($1::text[], $2::text[], $3::text[], $4::float8[], $5::int[], $6::float8[], $7::text[])
    WITH ORDINALITY AS g (kind, lane, args, after_s, max_attempts, deadline_s, who, place)
ORDER BY place
RETURNING id;

-- name: enqueue_one
INSERT INTO jobs (kind, lane, key, args, run_at, max_attempts, deadline, who)
VALUES ($1, $2, nullif($3, ''), $4, now() + $5::float8 * interval '1 second', $6,
        CASE WHEN $7::float8 > 0 THEN now() + $7::float8 * interval '1 second' END, $8)
ON CONFLICT (kind, key) WHERE key IS NOT NULL AND state IN ('ready', 'running') DO NOTHING
RETURNING id;

-- name: claim
WITH due AS MATERIALIZED (
    SELECT id FROM jobs
    WHERE state = 'ready' AND lane = '' AND run_at <= now() AND kind = ANY ($2::text[]) AND (deadline IS NULL OR deadline > now())
    ORDER BY run_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
)
UPDATE jobs j SET state = 'running', owner = $1, generation = j.generation + 1, attempt = j.attempt + 1, started = now(),
    lease_until = now() + $4::float8 * interval '1 second'
FROM due WHERE j.id = due.id
RETURNING j.id, j.generation, j.kind, j.lane, j.key, j.args, j.attempt, j.max_attempts, j.progress, j.cancel, j.who,
    extract(epoch FROM j.deadline - now())::float8 AS deadline_s;

-- name: claim_lanes
-- The heads of the lanes behind $5, at most $6 of them, one index probe for each lane however long it is. The last lane that was looked at, and how many
-- were, stand in every row; there is one row, without a job, when nothing was claimed.
WITH RECURSIVE heads AS (
    (SELECT lane, id, state, run_at, kind, deadline, 1 AS n FROM jobs
     WHERE lane <> '' AND state IN ('ready', 'running') AND lane > $5 ORDER BY lane, id LIMIT 1)
    UNION ALL
    SELECT next.lane, next.id, next.state, next.run_at, next.kind, next.deadline, h.n + 1
    FROM heads h CROSS JOIN LATERAL (
        SELECT lane, id, state, run_at, kind, deadline FROM jobs
        WHERE lane <> '' AND state IN ('ready', 'running') AND lane > h.lane ORDER BY lane, id LIMIT 1
    ) next
    WHERE h.n < $6
), due AS MATERIALIZED (
    SELECT j.id FROM heads h JOIN jobs j USING (id)
    WHERE h.state = 'ready' AND h.run_at <= now() AND h.kind = ANY ($2::text[]) AND (h.deadline IS NULL OR h.deadline > now())
      AND j.state = 'ready' AND j.run_at <= now()
      -- a head may be younger than what runs: its number was drawn earlier and committed later
      AND NOT EXISTS (SELECT 1 FROM jobs r WHERE r.lane = h.lane AND r.lane <> '' AND r.state = 'running')
    ORDER BY h.lane LIMIT $3 FOR UPDATE OF j SKIP LOCKED
), claimed AS (
    UPDATE jobs j SET state = 'running', owner = $1, generation = j.generation + 1, attempt = j.attempt + 1, started = now(),
        lease_until = now() + $4::float8 * interval '1 second'
    FROM due WHERE j.id = due.id
    RETURNING j.id, j.generation, j.kind, j.lane, j.key, j.args, j.attempt, j.max_attempts, j.progress, j.cancel, j.who,
        extract(epoch FROM j.deadline - now())::float8 AS deadline_s
)
SELECT seen.last, seen.count, claimed.*
FROM (SELECT max(lane) AS last, count(*) AS count FROM heads) seen LEFT JOIN claimed ON true;

-- name: finish
WITH gone AS (
    DELETE FROM jobs j USING unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) AS g (id, generation, state, result)
    WHERE j.id = g.id AND j.generation = g.generation AND j.state = 'running'
    RETURNING j.*, g.state AS outcome, g.result
)
INSERT INTO job_log (id, kind, lane, key, args, state, run_at, attempt, max_attempts, deadline, owner, generation, progress, result, error, who, created,
    started)
SELECT id, kind, lane, key, args, outcome, run_at, attempt, max_attempts, deadline, owner, generation, progress, result, error, who, created, started
FROM gone
RETURNING id;

-- name: fail
-- A delay below 0: it was the last attempt.
UPDATE jobs j SET
    state = CASE WHEN g.dead THEN 'dead' ELSE 'ready' END, died = CASE WHEN g.dead THEN now() END,
    run_at = now() + greatest(g.delay_s, 0) * interval '1 second', error = g.error, owner = '', lease_until = NULL
FROM (
    SELECT u.id, u.generation, u.error, u.delay_s,
        u.delay_s < 0 OR coalesce(k.deadline <= now() + u.delay_s * interval '1 second', false) AS dead
    FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::float8[]) AS u (id, generation, error, delay_s) JOIN jobs k ON k.id = u.id
) g
WHERE j.id = g.id AND j.generation = g.generation AND j.state = 'running'
RETURNING j.id;

-- name: give_back
UPDATE jobs j SET state = 'ready', attempt = j.attempt - 1, run_at = now(), owner = '', lease_until = NULL
FROM unnest($1::bigint[], $2::bigint[]) AS g (id, generation)
WHERE j.id = g.id AND j.generation = g.generation AND j.state = 'running'
RETURNING j.id;

-- name: renew
UPDATE jobs j SET lease_until = now() + $3::float8 * interval '1 second'
FROM unnest($1::bigint[], $2::bigint[]) AS g (id, generation)
WHERE j.id = g.id AND j.generation = g.generation AND j.state = 'running'
RETURNING j.id, j.cancel;

-- name: note
UPDATE jobs SET progress = $3 WHERE id = $1 AND generation = $2 AND state = 'running' RETURNING id;

-- name: sweep_leases
WITH lost AS MATERIALIZED (
    SELECT id FROM jobs WHERE state = 'running' AND lease_until < now() ORDER BY lease_until LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE jobs j SET
    state = CASE WHEN j.attempt >= j.max_attempts THEN 'dead' ELSE 'ready' END, died = CASE WHEN j.attempt >= j.max_attempts THEN now() END,
    run_at = now(), error = 'worker ' || j.owner || ' did not renew its lease', owner = '', lease_until = NULL
FROM lost WHERE j.id = lost.id
RETURNING j.id;

-- name: sweep_deadlines
WITH late AS MATERIALIZED (
    SELECT id FROM jobs WHERE state = 'ready' AND deadline <= now() ORDER BY deadline LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE jobs j SET state = 'dead', died = now(), error = CASE WHEN j.error = '' THEN 'its deadline passed before it began' ELSE j.error END
FROM late WHERE j.id = late.id
RETURNING j.id;

-- name: get
SELECT * FROM (
    SELECT id, kind, lane, coalesce(key, '') AS key, args, state, run_at, attempt, max_attempts, deadline, owner, generation, lease_until, cancel,
        progress, '' AS result, error, who, created, started, died AS finished FROM jobs WHERE id = $1
    UNION ALL
    SELECT id, kind, lane, coalesce(key, ''), args, state, run_at, attempt, max_attempts, deadline, owner, generation, NULL, false,
        progress, result, error, who, created, started, finished FROM job_log WHERE id = $1
) found LIMIT 1;

-- name: list
-- The newest first, of those with an id below $3.
SELECT * FROM (
    (SELECT id, kind, lane, coalesce(key, '') AS key, args, state, run_at, attempt, max_attempts, deadline, owner, generation, lease_until, cancel,
        progress, '' AS result, error, who, created, started, died AS finished FROM jobs
     WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR kind = $2) AND id < $3
     ORDER BY id DESC LIMIT $4)
    UNION ALL
    (SELECT id, kind, lane, coalesce(key, ''), args, state, run_at, attempt, max_attempts, deadline, owner, generation, NULL, false,
        progress, result, error, who, created, started, finished FROM job_log
     WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR kind = $2) AND id < $3
     ORDER BY id DESC LIMIT $4)
) found ORDER BY id DESC LIMIT $4;

-- name: ask_to_stop
UPDATE jobs SET cancel = true WHERE id = $1 AND state = 'running' RETURNING id;

-- name: put_away
-- A job that does not run, for good.
WITH gone AS (DELETE FROM jobs WHERE id = $1 AND state = $2 RETURNING *)
INSERT INTO job_log (id, kind, lane, key, args, state, run_at, attempt, max_attempts, deadline, owner, generation, progress, result, error, who, created,
    started)
SELECT id, kind, lane, key, args, $3, run_at, attempt, max_attempts, deadline, owner, generation, progress, $4, error, who, created, started FROM gone
RETURNING id;

-- name: replay
UPDATE jobs SET state = 'ready', attempt = 0, run_at = now(), died = NULL, deadline = NULL, cancel = false WHERE id = $1 AND state = 'dead' RETURNING id;

-- name: forget_finished
DELETE FROM job_log WHERE id IN (SELECT id FROM job_log WHERE finished < now() - $1::float8 * interval '1 day' ORDER BY finished LIMIT $2) RETURNING id;

-- name: forget_dead
DELETE FROM jobs WHERE id IN (
    SELECT id FROM jobs WHERE state = 'dead' AND died < now() - $1::float8 * interval '1 day' ORDER BY died LIMIT $2 FOR UPDATE SKIP LOCKED
) RETURNING id;

-- name: counts
SELECT kind, state, count(*) AS count, coalesce(extract(epoch FROM now() - min(run_at) FILTER (WHERE state = 'ready')), 0)::float8 AS oldest_s
FROM jobs GROUP BY kind, state ORDER BY kind, state;
