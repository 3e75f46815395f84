-- name: active_revision
SELECT revision FROM policy_activations ORDER BY generation DESC LIMIT 1;

-- name: revocations
SELECT kind, value, extract(epoch FROM before)::bigint AS before_s, extract(epoch FROM until)::bigint AS until_s FROM revocations
WHERE until IS NULL OR until > now()
ORDER BY kind, value;

-- name: revoke
INSERT INTO revocations (kind, value, before, until) VALUES ($1, $2, to_timestamp($3::bigint), to_timestamp($4::bigint))
ON CONFLICT (kind, value) DO UPDATE SET before = greatest(revocations.before, excluded.before), created = now(),
    until = CASE WHEN revocations.until IS NULL OR excluded.until IS NULL THEN NULL ELSE greatest(revocations.until, excluded.until) END
RETURNING kind;

-- name: forget_revocations
DELETE FROM revocations WHERE (kind, value) IN (
    SELECT kind, value FROM revocations WHERE until < now() - interval '1 day' ORDER BY until LIMIT 1000 FOR UPDATE SKIP LOCKED
);

-- name: add_revision
INSERT INTO policy_revisions (revision, source, signature, author, note) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (revision) DO NOTHING
RETURNING number;

-- name: revision
SELECT revision, number, source, signature, author, note, (extract(epoch FROM created) * 1000000)::bigint AS created_us
FROM policy_revisions WHERE revision = $1;

-- name: revisions
SELECT revision, number, ''::bytea AS source, signature, author, note, (extract(epoch FROM created) * 1000000)::bigint AS created_us
FROM policy_revisions WHERE number < $1 ORDER BY number DESC LIMIT $2;

-- name: activation
SELECT generation, revision, previous, signature, author, (extract(epoch FROM time) * 1000000)::bigint AS time_us
FROM policy_activations ORDER BY generation DESC LIMIT 1;

-- name: activate
INSERT INTO policy_activations (generation, revision, previous, signature, author)
SELECT $1::bigint, $2, $3, $4, $5
WHERE (SELECT coalesce(max(generation), 0) FROM policy_activations) = $1::bigint - 1
ON CONFLICT (generation) DO NOTHING
RETURNING generation;
