-- name: after
SELECT camera, epoch, "offset", body, hash, received FROM events
WHERE camera = $1 AND epoch = $2 AND "offset" > $3
ORDER BY "offset" LIMIT $4;

-- name: latest_of_epoch
SELECT camera, epoch, "offset", body, hash, received FROM events
WHERE camera = $1 AND epoch = (SELECT epoch FROM positions WHERE camera = $1)
ORDER BY "offset" DESC LIMIT $2;

-- name: latest_of_earlier_epochs
-- Names of epochs sort by their age.
SELECT camera, epoch, "offset", body, hash, received FROM events
WHERE camera = $1 AND epoch <> coalesce((SELECT epoch FROM positions WHERE camera = $1), '')
ORDER BY epoch DESC, "offset" DESC LIMIT $2;

-- name: export
SELECT camera, epoch, "offset", body, hash, received FROM events
WHERE $1::text[] IS NULL OR camera = ANY ($1::text[])
ORDER BY camera, epoch, "offset";

-- name: site_since
SELECT camera, epoch, "offset", body, hash, received FROM events
WHERE site = $1 AND received >= to_timestamp(0) + $2::bigint * interval '1 microsecond'
ORDER BY received, camera, epoch, "offset" LIMIT $3;

-- name: homeless
SELECT count(*) FROM (SELECT FROM events_default LIMIT 1000) AS counted;
