-- name: add
INSERT INTO dead_letters (camera, session, seq, code, detail, raw, received)
VALUES ($1, $2, 0, $3, $4, $5, to_timestamp(0) + $6::bigint * interval '1 microsecond')
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
