-- name: assign
UPDATE positions SET owner = $2
WHERE camera = $1 AND (owner IS NOT DISTINCT FROM $3 OR owner = $2)
RETURNING camera;

-- name: activate
-- Rows are locked in camera order, as in every statement that takes several, so that two of them cannot wait for each other.
WITH given AS (
    SELECT * FROM unnest($2::text[], $3::bigint[]) AS g (camera, above)
), locked AS (
    SELECT p.camera, g.above
    FROM positions p JOIN given g USING (camera) JOIN cameras c USING (camera)
    WHERE p.owner = $1 AND c.deleted IS NULL
    ORDER BY p.camera
    FOR UPDATE OF p
), moved AS (
    UPDATE positions p SET generation = greatest(p.generation, l.above) + 1
    FROM locked l WHERE p.camera = l.camera
    RETURNING p.camera, p.generation, p.session, p.last_seq, p.epoch, p.last_offset, p.chain, p.snapshot
)
SELECT moved.*, c.site, c.scene, c.scene_version
FROM moved JOIN cameras c USING (camera)
ORDER BY camera;

-- name: open_session
-- The row lock orders this against activations: a statement that waited sees the new generation and finds itself fenced.
WITH here AS (
    SELECT session FROM positions WHERE camera = $1 AND owner = $2 AND generation = $3 FOR UPDATE
), added AS (
    INSERT INTO sessions (camera, session, ordinal)
    SELECT $1, $4, coalesce((SELECT max(s.ordinal) FROM sessions s WHERE s.camera = $1), 0) + 1
    FROM here WHERE here.session <> $4
    ON CONFLICT (camera, session) DO NOTHING
    RETURNING session
), moved AS (
    UPDATE positions SET session = $4, last_seq = 0 FROM added WHERE positions.camera = $1
    RETURNING positions.session
)
SELECT CASE
    WHEN NOT EXISTS (SELECT FROM here) THEN 'fenced'
    WHEN EXISTS (SELECT FROM moved) OR EXISTS (SELECT FROM here WHERE session = $4) THEN 'opened'
    ELSE 'superseded'
END;

-- name: ownership
SELECT camera, owner, generation, session, last_seq, epoch, last_offset, chain
FROM positions WHERE camera = ANY ($1::text[]);

-- name: owners
SELECT p.camera, p.owner FROM positions p JOIN cameras c USING (camera) WHERE c.deleted IS NULL;

-- name: homes
SELECT camera, site FROM cameras WHERE deleted IS NULL;

-- name: commit_positions
-- The fenced advance of many cameras (design section 6) where no row brings an event: positions and snapshots alone.
-- Rows are locked in camera order: the store sorts them, and with the planner's settings of our connections (`storage.postgres.pool`)
-- every plan there is walks the given rows, or the primary key, in that order. Locking them first by a step of its own costs as much again.
WITH given AS (
    SELECT * FROM unnest(
        $1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
        $8::bigint[], $9::text[], $10::bigint[], $11::bytea[], $12::bytea[]
    ) AS g (camera, owner, generation, session, from_seq, from_epoch, from_offset, to_seq, to_epoch, to_offset, chain, snapshot)
)
UPDATE positions p
SET last_seq = g.to_seq, epoch = g.to_epoch, last_offset = g.to_offset, chain = g.chain, snapshot = g.snapshot
FROM given g
WHERE p.camera = g.camera AND p.owner = g.owner AND p.generation = g.generation AND p.session = g.session
    AND p.last_seq = g.from_seq AND p.epoch = g.from_epoch AND p.last_offset = g.from_offset
RETURNING p.camera;

-- name: commit_whole
-- The same with events and dead letters, which go in only for the rows that moved: all or nothing per camera.
WITH given AS (
    SELECT * FROM unnest(
        $1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
        $8::bigint[], $9::text[], $10::bigint[], $11::bytea[], $12::bytea[]
    ) AS g (camera, owner, generation, session, from_seq, from_epoch, from_offset, to_seq, to_epoch, to_offset, chain, snapshot)
), moved AS (
    UPDATE positions p
    SET last_seq = g.to_seq, epoch = g.to_epoch, last_offset = g.to_offset, chain = g.chain, snapshot = g.snapshot
    FROM given g
    WHERE p.camera = g.camera AND p.owner = g.owner AND p.generation = g.generation AND p.session = g.session
        AND p.last_seq = g.from_seq AND p.epoch = g.from_epoch AND p.last_offset = g.from_offset
    RETURNING p.camera
), stored AS (
    INSERT INTO events (camera, epoch, "offset", received, time, type, severity, site, session, seq, track, label, zone, line, body, hash)
    SELECT e.camera, e.epoch, e."offset",
        to_timestamp(0) + e.received_us * interval '1 microsecond', to_timestamp(0) + e.time_us * interval '1 microsecond',
        e.type, e.severity, e.site, e.session, e.seq, e.track, e.label, e.zone, e.line, e.body, e.hash
    FROM unnest(
        $13::text[], $14::text[], $15::bigint[], $16::bigint[], $17::bigint[], $18::text[], $19::text[], $20::text[],
        $21::text[], $22::bigint[], $23::text[], $24::text[], $25::text[], $26::text[], $27::bytea[], $28::bytea[]
    ) AS e (camera, epoch, "offset", received_us, time_us, type, severity, site, session, seq, track, label, zone, line, body, hash)
    JOIN moved USING (camera)
), letters AS (
    INSERT INTO dead_letters (camera, session, seq, code, detail, raw, received)
    SELECT d.camera, d.session, d.seq, d.code, d.detail, d.raw, to_timestamp(0) + d.received_us * interval '1 microsecond'
    FROM unnest($29::text[], $30::text[], $31::bigint[], $32::text[], $33::text[], $34::bytea[], $35::bigint[])
        AS d (camera, session, seq, code, detail, raw, received_us)
    JOIN moved USING (camera)
), replayed AS (
    UPDATE dead_letters d SET status = 'replayed', handled_by = r.handler, handled = now()
    FROM unnest($36::text[], $37::bigint[], $38::text[]) AS r (camera, id, handler) JOIN moved USING (camera)
    WHERE d.id = r.id AND d.camera = r.camera AND d.status = 'new'
){personal}{alerts}
SELECT camera FROM moved;

-- name: all_rows
SELECT p.camera, p.generation, p.session, p.last_seq, p.epoch, p.last_offset, p.chain, p.snapshot, c.site, c.scene, c.scene_version
FROM positions p JOIN cameras c USING (camera)
ORDER BY camera;
