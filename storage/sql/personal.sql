-- name: of_events
-- {window}: as in events.sql.
SELECT p.camera, p.epoch, p."offset", p.path, p.class, p.key, p.sealed
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS w (camera, epoch, "offset") JOIN event_personal p USING (camera, epoch, "offset")
WHERE {window};

-- name: store
-- A part of `commit_whole`: only what belongs to a row that moved.
, personal AS (
    INSERT INTO event_personal (camera, epoch, "offset", received, path, class, key, sealed)
    SELECT v.camera, v.epoch, v."offset", to_timestamp(0) + v.received_us * interval '1 microsecond', v.path, v.class, v.key, v.sealed
    FROM unnest($39::text[], $40::text[], $41::bigint[], $42::bigint[], $43::text[], $44::text[], $45::text[], $46::bytea[])
        AS v (camera, epoch, "offset", received_us, path, class, key, sealed)
    JOIN moved USING (camera)
)

-- name: delete_old
-- Under the lock of holds (`storage.postgres.people.holds`); what is held stays.
DELETE FROM event_personal WHERE (tableoid, ctid) IN (
    SELECT tableoid, ctid FROM event_personal p WHERE received < $1 AND NOT EXISTS (
        SELECT FROM holds h WHERE h.released IS NULL AND h.ends > now() AND p.camera = ANY (h.cameras)
            AND p.received >= h.since AND p.received < h.until
    )
    LIMIT $2
)
RETURNING 1;

-- name: delete_of_keys
DELETE FROM event_personal WHERE (tableoid, ctid) IN (SELECT tableoid, ctid FROM event_personal WHERE key = ANY ($1::text[]) LIMIT $2)
RETURNING 1;
