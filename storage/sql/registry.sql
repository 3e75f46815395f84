-- name: register
-- What an edge brings about by itself: a new camera and, where need be, its site. It never brings a deleted camera back.
WITH place AS (
    INSERT INTO sites (site) SELECT $2 WHERE NOT EXISTS (SELECT FROM cameras WHERE camera = $1)
    ON CONFLICT (site) DO UPDATE SET deleted = NULL, version = sites.version + 1 WHERE sites.deleted IS NOT NULL
), added AS (
    INSERT INTO cameras (camera, site, name, scene, tags, registered_by) VALUES ($1, $2, $3, $4, $5, $7) ON CONFLICT DO NOTHING
    RETURNING camera
)
INSERT INTO positions (camera, epoch) SELECT camera, $6 FROM added
RETURNING camera;

-- name: registered
-- Asked under the lock of registrations: whether the camera is there (deleted or not), how many the device has registered, how many the
-- site has.
SELECT EXISTS (SELECT FROM cameras WHERE camera = $1) AS known,
    (SELECT count(*) FROM cameras WHERE registered_by = $3) AS of_device,
    (SELECT count(*) FROM cameras WHERE site = $2 AND deleted IS NULL) AS of_site;

-- name: camera
SELECT camera, site, name, scene, scene_version, tags, version, deleted IS NOT NULL AS deleted,
    EXISTS (SELECT FROM sessions s WHERE s.camera = cameras.camera) AS seen,
    registered_by IS NOT NULL AS auto_registered
FROM cameras
WHERE camera = $1 AND ($2 OR deleted IS NULL);

-- name: cameras
-- Nobody needs the scenes of deleted ones.
SELECT camera, site, name, CASE WHEN deleted IS NULL THEN scene ELSE '{}' END AS scene, scene_version, tags, version,
    deleted IS NOT NULL AS deleted, EXISTS (SELECT FROM sessions s WHERE s.camera = cameras.camera) AS seen,
    registered_by IS NOT NULL AS auto_registered
FROM cameras
WHERE ($2 OR deleted IS NULL) AND ($1::text IS NULL OR site = $1)
ORDER BY camera;

-- name: set_scene
WITH changed AS (
    UPDATE cameras SET scene = $2, scene_version = scene_version + 1, version = version + 1
    WHERE camera = $1 AND deleted IS NULL AND ($3::bigint IS NULL OR scene_version = $3)
    RETURNING scene_version AS version
)
SELECT (SELECT version FROM changed) AS version, EXISTS (SELECT FROM cameras WHERE camera = $1 AND deleted IS NULL) AS known;

-- name: add_camera
-- A deleted camera comes back under its old row: its offsets, sessions and generation go on, so nothing of before can be taken for new.
-- It comes back at its own site alone, which its stored events belong to, and with its tags unless others are given: they say who sees them.
WITH here AS (
    SELECT site FROM sites WHERE site = $2 AND deleted IS NULL FOR SHARE
), added AS (
    INSERT INTO cameras (camera, site, name, scene, tags) SELECT $1, site, $3, $4, $5 FROM here
    ON CONFLICT (camera) DO UPDATE
    SET name = excluded.name, scene = excluded.scene,
        tags = CASE WHEN cardinality(excluded.tags) > 0 THEN excluded.tags ELSE cameras.tags END,
        version = cameras.version + 1, scene_version = cameras.scene_version + 1, deleted = NULL
    WHERE cameras.deleted IS NOT NULL AND cameras.site = excluded.site AND ($7::bigint IS NULL OR cameras.version = $7)
    RETURNING camera
), placed AS (
    INSERT INTO positions (camera, epoch) SELECT camera, $6 FROM added ON CONFLICT DO NOTHING
)
SELECT EXISTS (SELECT FROM here) AS site, EXISTS (SELECT FROM added) AS added;

-- name: update_camera
WITH changed AS (
    UPDATE cameras SET name = $2, tags = $3, version = version + 1
    WHERE camera = $1 AND deleted IS NULL AND ($4::bigint IS NULL OR version = $4)
    RETURNING version
)
SELECT (SELECT version FROM changed) AS version, EXISTS (SELECT FROM cameras WHERE camera = $1 AND deleted IS NULL) AS known;

-- name: remove_camera
WITH changed AS (
    UPDATE cameras SET deleted = now(), version = version + 1
    WHERE camera = $1 AND deleted IS NULL AND ($2::bigint IS NULL OR version = $2)
    RETURNING version
)
SELECT (SELECT version FROM changed) AS version, EXISTS (SELECT FROM cameras WHERE camera = $1 AND deleted IS NULL) AS known;

-- name: sites
-- A camera that was added while its site was deleted keeps the site alive.
SELECT site, name, place, version FROM sites s
WHERE site > $1 AND (deleted IS NULL OR EXISTS (SELECT FROM cameras c WHERE c.site = s.site AND c.deleted IS NULL))
ORDER BY site LIMIT $2;

-- name: site
SELECT site, name, place, version FROM sites s
WHERE site = $1 AND (deleted IS NULL OR EXISTS (SELECT FROM cameras c WHERE c.site = s.site AND c.deleted IS NULL));

-- name: add_site
INSERT INTO sites (site, name, place) VALUES ($1, $2, $3)
ON CONFLICT (site) DO UPDATE SET name = $2, place = $3, version = sites.version + 1, deleted = NULL WHERE sites.deleted IS NOT NULL
RETURNING version;

-- name: update_site
WITH changed AS (
    UPDATE sites SET name = $2, place = $3, version = version + 1
    WHERE site = $1 AND deleted IS NULL AND ($4::bigint IS NULL OR version = $4)
    RETURNING version
)
SELECT (SELECT version FROM changed) AS version, EXISTS (SELECT FROM sites WHERE site = $1 AND deleted IS NULL) AS known;

-- name: remove_site
WITH busy AS (
    SELECT camera FROM cameras WHERE site = $1 AND deleted IS NULL LIMIT 1
), changed AS (
    UPDATE sites SET deleted = now(), version = version + 1
    WHERE site = $1 AND deleted IS NULL AND ($2::bigint IS NULL OR version = $2) AND NOT EXISTS (SELECT FROM busy)
    RETURNING version
)
SELECT (SELECT version FROM changed) AS version, EXISTS (SELECT FROM sites WHERE site = $1 AND deleted IS NULL) AS known,
    (SELECT camera FROM busy) AS busy;

-- name: changed_scenes
-- What differs from the versions that an actor process knows. A camera without a row was deleted.
SELECT g.camera, c.scene, c.scene_version
FROM unnest($1::text[], $2::bigint[]) AS g (camera, version) LEFT JOIN cameras c ON c.camera = g.camera AND c.deleted IS NULL
WHERE c.camera IS NULL OR c.scene_version <> g.version
ORDER BY g.camera;
