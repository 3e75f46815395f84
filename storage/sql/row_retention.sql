-- Letters go under the lock of holds (`storage.postgres.people.holds`); what is held stays.

-- name: old_letters
DELETE FROM dead_letters WHERE id IN (
    SELECT id FROM dead_letters l WHERE received < now() - $1::float8 * interval '1 day' AND NOT EXISTS (
        SELECT FROM holds h WHERE h.released IS NULL AND h.ends > now() AND l.camera = ANY (h.cameras)
            AND l.received >= h.since AND l.received < h.until
    )
    ORDER BY received LIMIT $2
) RETURNING id;

-- name: letters_beyond
-- The newest letter that has $1 bytes or more of newer ones over it, as they are stored (compressed); null when there is none.
SELECT max(id) FROM (
    SELECT id, sum(pg_column_size(raw) + octet_length(detail) + 256) OVER (ORDER BY id DESC) AS size FROM dead_letters
) letters WHERE size > $1::bigint;

-- name: letters_up_to
DELETE FROM dead_letters WHERE id IN (
    SELECT id FROM dead_letters l WHERE id <= $1 AND NOT EXISTS (
        SELECT FROM holds h WHERE h.released IS NULL AND h.ends > now() AND l.camera = ANY (h.cameras)
            AND l.received >= h.since AND l.received < h.until
    )
    ORDER BY id LIMIT $2
) RETURNING id;

-- name: cameras_after
SELECT camera FROM positions WHERE camera > $1 ORDER BY camera LIMIT $2;

-- name: old_sessions
-- A session is over when the next one of its camera began. The newest always stays: it is the one that goes on.
DELETE FROM sessions s USING (
    SELECT camera, session,
        lead(first_hello) OVER (PARTITION BY camera ORDER BY ordinal) AS ended,
        count(*) OVER (PARTITION BY camera ORDER BY ordinal DESC) AS place
    FROM sessions WHERE camera = ANY ($1::text[])
) known
WHERE s.camera = known.camera AND s.session = known.session AND known.ended IS NOT NULL
    AND (known.ended < now() - $2::float8 * interval '1 day' OR known.place > $3::bigint)
RETURNING s.session;
