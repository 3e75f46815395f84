-- name: store
-- A part of `commit_whole`: only what belongs to a row that moved. The numbers of its parameters are set by the store ($a1 is its first).
, alert_points AS (
    INSERT INTO alerts (camera, rule, place, site, severity, active, occurrences, since, cause)
    SELECT a.camera, a.rule, a.place, a.site, a.severity, a.active, a.occurrences,
        to_timestamp(0) + a.since_us * interval '1 microsecond', a.cause
    FROM unnest($a1::text[], $a2::text[], $a3::text[], $a4::text[], $a5::text[], $a6::boolean[], $a7::bigint[], $a8::bigint[], $a9::text[])
        AS a (camera, rule, place, site, severity, active, occurrences, since_us, cause)
    JOIN moved USING (camera)
    ON CONFLICT (camera, rule, place) DO UPDATE SET site = excluded.site, severity = excluded.severity, active = excluded.active,
        occurrences = excluded.occurrences, since = excluded.since, cause = excluded.cause, changed = now()
)

-- name: list
-- Those that need somebody: raised, or over and not acknowledged. The worst first, then the oldest.
SELECT a.camera, a.rule, a.place, a.site, a.severity, a.active, a.occurrences, a.since, a.cause, a.changed,
    w.version, w.acknowledged, w.acknowledged_by, w.acknowledged_at, w.confirmed, w.confirmed_by, w.assignee, w.verdict,
    w.shelved_until, w.shelved_by, w.shelved_reason, now() AS now
FROM alerts a LEFT JOIN alert_work w USING (camera, rule, place) JOIN cameras c USING (camera)
WHERE c.deleted IS NULL AND c.site = a.site
    AND ($1::text IS NULL OR a.camera = $1) AND ($2::text IS NULL OR a.site = $2) AND a.camera <> ALL ($3::text[])
    AND ($4 OR a.active OR a.occurrences > coalesce(w.acknowledged, 0))
ORDER BY array_position(ARRAY['critical', 'warning', 'notice', 'info'], a.severity), a.since, a.camera, a.rule, a.place
LIMIT $5;

-- name: read
SELECT a.camera, a.rule, a.place, a.site, a.severity, a.active, a.occurrences, a.since, a.cause, a.changed,
    w.version, w.acknowledged, w.acknowledged_by, w.acknowledged_at, w.confirmed, w.confirmed_by, w.assignee, w.verdict,
    w.shelved_until, w.shelved_by, w.shelved_reason, now() AS now
FROM alerts a LEFT JOIN alert_work w USING (camera, rule, place) JOIN cameras c USING (camera)
WHERE a.camera = $1 AND a.rule = $2 AND a.place = $3 AND c.deleted IS NULL AND c.site = a.site;

-- name: lock
-- By itself, before `read`: who waited here would see the work of before in a join (READ COMMITTED looks again at the locked row alone).
SELECT FROM alerts WHERE camera = $1 AND rule = $2 AND place = $3 FOR UPDATE;

-- name: work
INSERT INTO alert_work (camera, rule, place, version, acknowledged, acknowledged_by, acknowledged_at, confirmed, confirmed_by, assignee, verdict,
    shelved_until, shelved_by, shelved_reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (camera, rule, place) DO UPDATE SET version = excluded.version, acknowledged = excluded.acknowledged,
    acknowledged_by = excluded.acknowledged_by, acknowledged_at = excluded.acknowledged_at, confirmed = excluded.confirmed,
    confirmed_by = excluded.confirmed_by, assignee = excluded.assignee, verdict = excluded.verdict, shelved_until = excluded.shelved_until,
    shelved_by = excluded.shelved_by, shelved_reason = excluded.shelved_reason;

-- name: log
INSERT INTO alert_log (camera, rule, place, occurrence, act, who, note) VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: acts
SELECT number, occurrence, act, who, note, at FROM alert_log
WHERE camera = $1 AND rule = $2 AND place = $3 ORDER BY number DESC LIMIT $4;
