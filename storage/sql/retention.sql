-- name: note_horizons
-- Of the events in a table that is about to go (its name is put in): the last of each camera and epoch.
INSERT INTO event_horizons (camera, epoch, "offset", hash)
SELECT DISTINCT ON (camera, epoch) camera, epoch, "offset", hash FROM {table}
WHERE received < $1
ORDER BY camera, epoch, "offset" DESC
ON CONFLICT (camera, epoch) DO UPDATE SET "offset" = excluded."offset", hash = excluded.hash, dropped = now()
WHERE event_horizons."offset" < excluded."offset";

-- name: horizons
SELECT camera, epoch, "offset", hash FROM event_horizons ORDER BY camera, epoch;

-- name: empty_default
-- What is old in the default partition, and not held.
DELETE FROM events_default e WHERE received < $1 AND NOT EXISTS (
    SELECT FROM holds h WHERE h.released IS NULL AND h.ends > now() AND e.camera = ANY (h.cameras)
        AND e.received >= h.since AND e.received < h.until
);
