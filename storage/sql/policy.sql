-- name: active_revision
SELECT revision FROM policy_revisions WHERE active;

-- name: revocations
SELECT kind, value, extract(epoch FROM before)::bigint AS before_s FROM revocations
WHERE created > now() - $1::float8 * interval '1 second'
ORDER BY kind, value;

-- name: revoke
INSERT INTO revocations (kind, value, before) VALUES ($1, $2, to_timestamp($3::bigint))
ON CONFLICT (kind, value) DO UPDATE SET before = greatest(revocations.before, excluded.before), created = now();

-- name: deactivate
UPDATE policy_revisions SET active = false WHERE active AND revision <> $1;

-- name: put_revision
INSERT INTO policy_revisions (revision, source, active) VALUES ($1, $2, $3)
ON CONFLICT (revision) DO UPDATE SET source = $2, active = policy_revisions.active OR $3;

-- name: revision
SELECT source FROM policy_revisions WHERE revision = $1;
