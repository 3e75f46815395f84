-- name: fold
-- Adds the next $3 events at most of each of $2 cameras behind $1, or of those in $5, to their buckets, and moves their cursors by
-- compare-and-swap: who reads an older cursor than the one that is there moves none and adds nothing.
--
-- Names of epochs sort by age. Offsets have no holes, so a camera in one epoch knows by its rows alone whether all were found within a day
-- before the last; where they were not ($4: look everywhere; that is also done from one epoch to the next), it does not move and says so.
WITH behind AS MATERIALIZED (
    SELECT p.camera, coalesce(c.epoch, '') AS from_epoch, coalesce(c."offset", 0) AS from_offset,
        p.epoch AS to_epoch, p.last_offset AS to_offset, coalesce(c.received, '-infinity') AS received,
        $4 OR c.camera IS NULL OR c.epoch <> p.epoch AS everywhere
    FROM positions p LEFT JOIN count_cursors c ON c.camera = p.camera
    WHERE (coalesce(c.epoch, ''), coalesce(c."offset", 0)) < (p.epoch, p.last_offset)
        AND p.camera > $1 AND ($5::text[] IS NULL OR p.camera = ANY ($5::text[]))
    ORDER BY p.camera LIMIT $2
), slice AS MATERIALIZED (
    SELECT b.camera, b.from_epoch, b.from_offset, e.* FROM behind b CROSS JOIN LATERAL (
        SELECT epoch, "offset", received, time, site, type, line, zone, label, body FROM events
        WHERE camera = b.camera AND (epoch, "offset") > (b.from_epoch, b.from_offset)
            AND (epoch, "offset") <= (b.to_epoch, b.to_offset)
            AND received >= CASE WHEN b.everywhere THEN '-infinity' ELSE b.received - interval '1 day' END
        ORDER BY epoch, "offset" LIMIT $3
    ) e
), sizes AS (
    SELECT camera, count(*) AS events, max(received) AS received FROM slice GROUP BY camera
), lasts AS (
    SELECT DISTINCT ON (camera) camera, epoch, "offset" FROM slice ORDER BY camera, epoch DESC, "offset" DESC
), ends AS (
    SELECT b.*, coalesce(s.events, 0) AS events, greatest(b.received, s.received) AS until,
        CASE WHEN s.events = $3 THEN l.epoch ELSE b.to_epoch END AS end_epoch,
        CASE WHEN s.events = $3 THEN l."offset" ELSE b.to_offset END AS end_offset
    FROM behind b LEFT JOIN sizes s ON s.camera = b.camera LEFT JOIN lasts l ON l.camera = b.camera
), moved AS (
    INSERT INTO count_cursors AS known (camera, epoch, "offset", received)
    SELECT camera, end_epoch, end_offset, until FROM ends
    WHERE everywhere OR events = end_offset - from_offset ORDER BY camera
    ON CONFLICT (camera) DO UPDATE SET epoch = excluded.epoch, "offset" = excluded."offset", received = excluded.received
    WHERE (known.epoch, known."offset") = (
        SELECT e.from_epoch, e.from_offset FROM ends e WHERE e.camera = known.camera
    )
    RETURNING camera
), added AS (
    INSERT INTO counts AS known (camera, step, bucket, site, place, name, label, came, went)
    SELECT camera, step, date_bin(make_interval(secs => step), time, to_timestamp(0)), site,
        CASE type WHEN 'line.crossed' THEN 'line' ELSE 'zone' END, CASE type WHEN 'line.crossed' THEN line ELSE zone END,
        coalesce(label, ''), count(*) FILTER (WHERE way = 'in'), count(*) FILTER (WHERE way = 'out')
    FROM (
        SELECT *, CASE type WHEN 'zone.entered' THEN 'in' WHEN 'zone.exited' THEN 'out'
            ELSE convert_from(body, 'UTF8')::json #>> '{data,direction}' END AS way
        FROM slice WHERE camera IN (SELECT camera FROM moved) AND (
            (type = 'line.crossed' AND line IS NOT NULL) OR (type IN ('zone.entered', 'zone.exited') AND zone IS NOT NULL)
        )
    ) AS ways CROSS JOIN (VALUES (60), (3600), (86400)) AS steps (step)
    GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7
    ON CONFLICT (camera, step, bucket, site, place, name, label)
    DO UPDATE SET came = known.came + excluded.came, went = known.went + excluded.went
)
SELECT e.camera, e.events, m.camera IS NOT NULL AS moved, e.events = $3 AS more,
    NOT (e.everywhere OR e.events = e.end_offset - e.from_offset) AS holes
FROM ends e LEFT JOIN moved m ON m.camera = e.camera ORDER BY e.camera;

-- name: forget
DELETE FROM counts WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM counts WHERE step = $1 AND bucket < now() - $2::float8 * interval '1 day' LIMIT $3
)) RETURNING step;

-- name: read
-- What belongs to no camera that is registered at its site now is not read: nobody could say who may see it.
SELECT c.bucket, c.camera, c.place, c.name, c.label, c.came, c.went FROM counts c
JOIN cameras r ON r.camera = c.camera AND r.site = c.site
WHERE c.step = $1 AND c.bucket >= $2 AND c.bucket < $3 AND ($4::text IS NULL OR c.camera = $4) AND ($5::text IS NULL OR c.site = $5)
    AND c.camera <> ALL ($6::text[]) AND ($7::text IS NULL OR c.place = $7)
    AND ($8::text IS NULL OR c.name = $8) AND ($9::text IS NULL OR c.label = $9)
ORDER BY c.bucket, c.camera, c.place, c.name, c.label LIMIT $10;

-- name: behind
-- How many events are not in yet: of the newest epoch exactly, of older ones at least one.
SELECT coalesce(sum(CASE WHEN c.camera IS NULL THEN p.last_offset WHEN c.epoch = p.epoch THEN p.last_offset - c."offset"
    ELSE greatest(p.last_offset, 1) END), 0)::bigint
FROM positions p LEFT JOIN count_cursors c ON c.camera = p.camera
JOIN cameras r ON r.camera = p.camera
WHERE (coalesce(c.epoch, ''), coalesce(c."offset", 0)) < (p.epoch, p.last_offset)
    AND ($1::text IS NULL OR p.camera = $1) AND ($2::text IS NULL OR r.site = $2) AND p.camera <> ALL ($3::text[]);
