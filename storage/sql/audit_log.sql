-- name: lock_head
SELECT number, hash, seal, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us FROM audit_head FOR UPDATE;

-- name: append
INSERT INTO audit_log (number, time_us, who, token, action, target, detail, hash, seal) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: set_head
UPDATE audit_head SET number = $1, hash = $2, seal = $3;

-- name: head
SELECT number, hash, seal FROM audit_head;

-- name: after
SELECT number, time_us, who, token, action, target, detail, hash, seal FROM audit_log WHERE number > $1 ORDER BY number LIMIT $2;

-- name: before
SELECT number, time_us, who, token, action, target, detail, hash, seal FROM audit_log WHERE number < $1 ORDER BY number DESC LIMIT $2;
