-- name: add
INSERT INTO dead_letters (camera, session, seq, code, detail, raw, received)
SELECT d.camera, d.session, 0, d.code, d.detail, d.raw, to_timestamp(0) + d.received_us * interval '1 microsecond'
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bigint[]) WITH ORDINALITY
    AS d (camera, session, code, detail, raw, received_us, place)
ORDER BY d.place
RETURNING id;

-- name: get
SELECT id, camera, session, seq, code, detail, raw, received, status, reason, handled_by FROM dead_letters WHERE id = $1;

-- name: list
SELECT id, camera, session, seq, code, detail, raw, received, status, reason, handled_by FROM dead_letters
WHERE ($1::text IS NULL OR camera = $1) AND ($2::text IS NULL OR status = $2) AND id > $3
ORDER BY id LIMIT $4;

-- name: mark
UPDATE dead_letters SET status = $2, reason = $3, handled_by = $4, handled = now() WHERE id = ANY ($1::bigint[]) AND status = 'new'
RETURNING id;

-- name: empty
-- Of cameras and a time, what has not been emptied.
UPDATE dead_letters SET raw = '', detail = '', status = 'discarded', reason = 'erased', handled_by = 'eyrie', handled = now()
WHERE id IN (
    SELECT id FROM dead_letters
    WHERE camera = ANY ($1::text[]) AND received >= to_timestamp(0) + $2::bigint * interval '1 microsecond'
        AND received < to_timestamp(0) + $3::bigint * interval '1 microsecond' AND (raw <> '' OR detail <> '')
    LIMIT $4
)
RETURNING id;

-- name: of_days
-- Of cameras and a time, after an id, what is not empty.
SELECT id, camera, session, code, detail, raw, received FROM dead_letters
WHERE camera = ANY ($1::text[]) AND received >= to_timestamp(0) + $2::bigint * interval '1 microsecond'
    AND received < to_timestamp(0) + $3::bigint * interval '1 microsecond' AND id > $4 AND raw <> ''
ORDER BY id LIMIT $5;

-- name: move
-- Another text in the place of one that still is what was read.
UPDATE dead_letters l SET raw = v.fresh FROM unnest($1::bigint[], $2::bytea[], $3::bytea[]) AS v (id, raw, fresh)
WHERE l.id = v.id AND l.raw = v.raw RETURNING l.id;

-- name: used_days
-- Which of these UTC days have letters.
SELECT d.day_us FROM unnest($1::bigint[]) AS d (day_us)
WHERE EXISTS (
    SELECT FROM dead_letters l WHERE l.received >= to_timestamp(0) + d.day_us * interval '1 microsecond'
        AND l.received < to_timestamp(0) + d.day_us * interval '1 microsecond' + interval '1 day'
);
