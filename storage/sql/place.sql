-- name: known
-- The timeline is the one written now: that of the last checkpoint is old for a while after a promotion. A replica has none.
SELECT d.place, d.stamp, pg_is_in_recovery() AS replica,
    has_function_privilege(current_user, 'pg_stat_file(text)', 'execute') AS may_stat,
    concat_ws('/',
        (SELECT system_identifier FROM pg_control_system()),
        CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END,
        (SELECT oid FROM pg_database WHERE datname = current_database()),
        pg_relation_filenode('positions')
    ) AS here
FROM (SELECT) AS one LEFT JOIN database_place d ON true;

-- name: stamp
SELECT change FROM pg_stat_file('PG_VERSION');

-- name: lock
-- Held to the end of the transaction, also where there is no row yet.
LOCK TABLE database_place IN SHARE ROW EXCLUSIVE MODE;

-- name: note
INSERT INTO database_place (place, stamp) VALUES ($1, $2)
ON CONFLICT (one) DO UPDATE SET place = excluded.place, stamp = coalesce(excluded.stamp, database_place.stamp);

-- name: renew
-- Rows are locked in camera order, as in every statement that takes several. Names of epochs sort by age (`storage.ports.epochs`), also where
-- the clock went back or two are made in one second.
WITH locked AS (
    SELECT camera FROM positions WHERE $2::text[] IS NULL OR camera = ANY ($2::text[]) ORDER BY camera FOR UPDATE
)
UPDATE positions p
SET epoch = CASE WHEN $1 > p.epoch OR p.epoch !~ '^[0-9a-f]{12}$' THEN $1
        ELSE lpad(to_hex(('x' || p.epoch)::bit(48)::bigint + 1), 12, '0') END,
     last_offset = 0, chain = decode(repeat('00', 32), 'hex')
FROM locked WHERE p.camera = locked.camera
RETURNING p.camera;
