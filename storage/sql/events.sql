-- {window} is a condition on `received` by constants (`storage.events.windows`): parameters would not spare the locks of the other days.
-- What belongs to no camera that was ever registered at its site is not read: nobody could say who may see it. Of one camera it is compared
-- as `site || ''`, so that no plan walks the events of the whole site.

-- name: after
SELECT camera, epoch, "offset", body, hash, received FROM events
WHERE camera = $1 AND epoch = $2 AND "offset" > $3 AND {window}
    AND (site || '') = (SELECT c.site FROM cameras c WHERE c.camera = $1)
ORDER BY "offset" LIMIT $4;

-- name: first_after
SELECT min("offset") FROM events WHERE camera = $1 AND epoch = $2 AND "offset" > $3 AND {window}
    AND (site || '') = (SELECT c.site FROM cameras c WHERE c.camera = $1);

-- name: tip
SELECT epoch, last_offset FROM positions WHERE camera = $1;

-- name: before
SELECT camera, epoch, "offset", body, hash, received FROM events
WHERE camera = $1 AND epoch = $2 AND "offset" < $3 AND {window}
    AND (site || '') = (SELECT c.site FROM cameras c WHERE c.camera = $1)
ORDER BY "offset" DESC LIMIT $4;

-- name: latest_of_earlier_epochs
-- Names of epochs sort by their age.
SELECT camera, epoch, "offset", body, hash, received FROM events
WHERE camera = $1 AND epoch <> $2 AND {window}
    AND (site || '') = (SELECT c.site FROM cameras c WHERE c.camera = $1)
ORDER BY epoch DESC, "offset" DESC LIMIT $3;

-- name: partitions
SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'events'::regclass;

-- name: list_of_sites
-- One page beyond a key, {way} is ASC or DESC and {beyond} > or <. Each site is read by its index, or by that of what is rare:
-- {rare} names its condition.
SELECT e.* FROM unnest($1::text[]) AS s (site) CROSS JOIN LATERAL (
    SELECT camera, epoch, "offset", body, hash, received FROM events
    WHERE site = s.site AND {window} AND {rare} AND received >= $3 AND received < $4
        AND (received, camera, epoch, "offset") {beyond} ($5, $6, $7, $8)
        AND ($9::text[] IS NULL OR type = ANY ($9)) AND ($10::text[] IS NULL OR severity = ANY ($10))
        AND ($11::text[] IS NULL OR zone = ANY ($11)) AND ($12::text[] IS NULL OR line = ANY ($12))
        AND ($13::text[] IS NULL OR label = ANY ($13)) AND ($14::text[] IS NULL OR track = ANY ($14))
        AND ($15::text[] IS NULL OR camera <> ALL ($15))
        AND EXISTS (SELECT FROM cameras c WHERE c.camera = events.camera AND c.site = s.site)
    ORDER BY received {way}, camera {way}, epoch {way}, "offset" {way} LIMIT $2
) AS e ORDER BY received {way}, camera {way}, epoch {way}, "offset" {way} LIMIT $2;

-- name: list_of_camera
-- The same of one camera, in one epoch or all, after an offset.
SELECT camera, epoch, "offset", body, hash, received FROM events
WHERE camera = $1 AND {window} AND received >= $3 AND received < $4
    AND (received, camera, epoch, "offset") {beyond} ($5, $6, $7, $8)
    AND ($9::text[] IS NULL OR type = ANY ($9)) AND ($10::text[] IS NULL OR severity = ANY ($10))
    AND ($11::text[] IS NULL OR zone = ANY ($11)) AND ($12::text[] IS NULL OR line = ANY ($12))
    AND ($13::text[] IS NULL OR label = ANY ($13)) AND ($14::text[] IS NULL OR track = ANY ($14))
    AND ($15::text IS NULL OR epoch = $15) AND "offset" > $16
    AND (site || '') = (SELECT c.site FROM cameras c WHERE c.camera = $1)
ORDER BY received {way}, camera {way}, epoch {way}, "offset" {way} LIMIT $2;

-- name: export
-- One slice: a statement, and a snapshot, of its own.
SELECT camera, epoch, "offset", body, hash, received, xmin::text::bigint AS written_by FROM events
WHERE (camera, epoch, "offset") > ($2, $3, $4) AND ($1::text[] IS NULL OR camera = ANY ($1::text[]))
ORDER BY camera, epoch, "offset" LIMIT $5;

-- name: tips
SELECT camera, epoch, last_offset FROM positions;

-- name: snapshot
SELECT pg_current_snapshot()::text;

-- name: oldest_snapshot
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 FROM pg_stat_activity
WHERE backend_xmin IS NOT NULL AND datname = current_database() AND pid <> pg_backend_pid();

-- name: homeless
SELECT count(*) FROM (SELECT FROM events_default LIMIT 1000) AS counted;
