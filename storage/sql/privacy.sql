-- name: lock
-- Who places a hold and who deletes wait for each other: one of them is first. Held to the end of the transaction.
SELECT pg_advisory_xact_lock(7306650152148);

-- name: page
-- Values of cameras and a time beyond a place.
SELECT camera, epoch, "offset", received, path, class, key, sealed FROM event_personal
WHERE camera = ANY ($1::text[]) AND received >= to_timestamp(0) + $2::bigint * interval '1 microsecond'
    AND received < to_timestamp(0) + $3::bigint * interval '1 microsecond'
    AND (camera, epoch, "offset", path) > ($4, $5, $6, $7)
ORDER BY camera, epoch, "offset", path LIMIT $8;

-- name: ask
INSERT INTO privacy_requests (id, kind, state, cameras, since, until, whole, purpose, asked_by, due)
VALUES ($1, $2, 'asked', $3, to_timestamp(0) + $4::bigint * interval '1 microsecond', to_timestamp(0) + $5::bigint * interval '1 microsecond',
    $6, $7, $8, now() + $9::float8 * interval '1 second');

-- name: add_places
INSERT INTO privacy_places (request, camera, epoch, "offset", received, path, class)
SELECT $1, p.camera, p.epoch, p."offset", to_timestamp(0) + p.received_us * interval '1 microsecond', p.path, p.class
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[]) AS p (camera, epoch, "offset", received_us, path, class)
ON CONFLICT DO NOTHING;

-- name: get
SELECT r.*, (SELECT count(*) FROM privacy_places p WHERE p.request = r.id) AS places FROM privacy_requests r WHERE id = $1;

-- name: list
SELECT r.*, (SELECT count(*) FROM privacy_places p WHERE p.request = r.id) AS places FROM privacy_requests r
WHERE asked < to_timestamp(0) + $1::bigint * interval '1 microsecond' ORDER BY asked DESC, id DESC LIMIT $2;

-- name: places
SELECT camera, epoch, "offset", received, path, class FROM privacy_places WHERE request = $1 ORDER BY camera, epoch, "offset", path;

-- name: approve
UPDATE privacy_requests SET state = 'approved', approved_by = $2, approved = now(), outcome = ''
WHERE id = $1 AND kind = 'erasure' AND state IN ('asked', 'held') AND asked_by <> $2
RETURNING id;

-- name: answer
UPDATE privacy_requests SET state = 'done', ended = now() WHERE id = $1 AND kind = 'access' AND state = 'asked' RETURNING id;

-- name: withdraw
UPDATE privacy_requests SET state = 'withdrawn', ended = now() WHERE id = $1 AND state IN ('asked', 'approved', 'held') RETURNING id;

-- name: under_way
-- Erasures that have begun and reach into a scope.
SELECT r.id FROM privacy_requests r
WHERE r.state = 'executing' AND r.cameras && $1::text[]
    AND r.since < to_timestamp(0) + $3::bigint * interval '1 microsecond' AND r.until > to_timestamp(0) + $2::bigint * interval '1 microsecond'
LIMIT 1;

-- name: place_hold
INSERT INTO holds (id, cameras, since, until, reason, owner, ends)
VALUES ($1, $2, to_timestamp(0) + $3::bigint * interval '1 microsecond', to_timestamp(0) + $4::bigint * interval '1 microsecond', $5, $6,
    to_timestamp(0) + $7::bigint * interval '1 microsecond');

-- name: holds
SELECT * FROM holds ORDER BY placed DESC, id LIMIT 1000;

-- name: release_hold
UPDATE holds SET released = now(), released_by = $2 WHERE id = $1 AND released IS NULL AND ends > now() RETURNING id;

-- name: in_force
SELECT cameras, since, until FROM holds WHERE released IS NULL AND ends > now();

-- name: held
-- Holds in force that reach into an erasure.
SELECT h.id FROM holds h, privacy_requests r
WHERE r.id = $1 AND h.released IS NULL AND h.ends > now() AND h.cameras && r.cameras AND h.since < r.until AND h.until > r.since
ORDER BY h.id LIMIT 1;

-- name: state
SELECT state FROM privacy_requests WHERE id = $1 FOR UPDATE;

-- name: find_places
-- Of an erasure of all that is in its scope.
INSERT INTO privacy_places (request, camera, epoch, "offset", received, path, class)
SELECT r.id, p.camera, p.epoch, p."offset", p.received, p.path, p.class
FROM privacy_requests r JOIN event_personal p ON p.camera = ANY (r.cameras) AND p.received >= r.since AND p.received < r.until
WHERE r.id = $1 AND r.whole
ON CONFLICT DO NOTHING;

-- name: begin
UPDATE privacy_requests SET state = 'executing', keys = ARRAY(
    SELECT DISTINCT p.key FROM privacy_places q JOIN event_personal p USING (camera, epoch, "offset", path, received) WHERE q.request = $1
)
WHERE id = $1 RETURNING id;

-- name: hold_up
UPDATE privacy_requests SET state = 'held', outcome = $2 WHERE id = $1;

-- name: note_step
UPDATE privacy_requests SET steps = $2 WHERE id = $1;

-- name: finish
UPDATE privacy_requests SET state = 'done', ended = now(), receipt = $2 WHERE id = $1 AND state = 'executing' RETURNING id;

-- name: delete_places
DELETE FROM event_personal p USING privacy_places q
WHERE q.request = $1 AND p.camera = q.camera AND p.epoch = q.epoch AND p."offset" = q."offset" AND p.path = q.path AND p.received = q.received
RETURNING 1;

-- name: of_key
SELECT camera, epoch, "offset", received, path, class, sealed FROM event_personal WHERE key = $1 LIMIT $2;

-- name: move
UPDATE event_personal p SET key = $2, sealed = v.sealed
FROM unnest($3::text[], $4::text[], $5::bigint[], $6::text[], $7::timestamptz[], $8::bytea[]) AS v (camera, epoch, "offset", path, received, sealed)
WHERE p.camera = v.camera AND p.epoch = v.epoch AND p."offset" = v."offset" AND p.path = v.path AND p.received = v.received AND p.key = $1
RETURNING 1;

-- name: delete_broken
DELETE FROM event_personal p USING unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::timestamptz[]) AS v (camera, epoch, "offset", path, received)
WHERE p.camera = v.camera AND p.epoch = v.epoch AND p."offset" = v."offset" AND p.path = v.path AND p.received = v.received AND p.key = $1
RETURNING 1;

-- name: chains
SELECT camera, epoch, last_offset, chain FROM positions WHERE camera = ANY ($1::text[]) ORDER BY camera;

-- name: sites
SELECT camera, site FROM cameras WHERE camera = ANY ($1::text[]) ORDER BY camera;

-- name: known
SELECT state FROM privacy_requests WHERE id = $1;

-- name: restore
-- An erasure that was begun and of which a restored database knows nothing, or an earlier state.
INSERT INTO privacy_requests (id, kind, state, cameras, since, until, whole, purpose, asked_by, due, approved_by, approved, keys)
VALUES ($1, 'erasure', 'executing', $2, to_timestamp(0) + $3::bigint * interval '1 microsecond',
    to_timestamp(0) + $4::bigint * interval '1 microsecond', $5, $6, $7, now(), $8, now(), $9)
ON CONFLICT (id) DO UPDATE SET state = 'executing', approved_by = excluded.approved_by, approved = now(), keys = excluded.keys;
