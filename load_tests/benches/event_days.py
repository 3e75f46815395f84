"""A database with many days of events, made by SQL in seconds: 4 sites with 5 cameras each, types
and severities mixed, one rare event.

The camera of each event and its moment are spread evenly, so that every camera's offsets grow with
the days. Every camera has events of every type and label.
"""

SITES, CAMERAS = 4, 20

# {days}: day partitions before today, made as the product's are.
DAYS_SQL = """
DO $$ DECLARE day date; BEGIN
    FOR day IN SELECT generate_series((now() AT TIME ZONE 'UTC')::date - {days}, (now() AT TIME ZONE 'UTC')::date - 2, '1 day')::date LOOP
        EXECUTE format('CREATE TABLE IF NOT EXISTS events_%s PARTITION OF events FOR VALUES FROM (%L) TO (%L)',
            to_char(day, 'YYYYMMDD'), day || ' 00:00:00+00', day + 1 || ' 00:00:00+00');
    END LOOP;
END $$
"""  # noqa: E501

# $1 days, $2 events.
FILL_SQL = f"""
INSERT INTO events (camera, epoch, "offset", received, time, type, severity, site, session, seq, track, label, zone, line, body, hash)
SELECT 'cam-' || n % {CAMERAS}, 'e1', n / {CAMERAS} + 1, at, at,
    CASE WHEN n = 0 THEN 'camera.offline' WHEN n % 3 = 0 THEN 'line.crossed' ELSE 'zone.entered' END,
    CASE WHEN n = 0 OR n % 50 = 7 THEN 'critical' WHEN n % 10 = 3 THEN 'warning' ELSE 'info' END,
    'site-' || n % {SITES}, 's', n / {CAMERAS} + 1, (n % 1000)::text, CASE WHEN n / {CAMERAS} % 4 = 0 THEN 'car' ELSE 'person' END,
    CASE WHEN n % 3 = 0 THEN NULL ELSE 'door' END, CASE WHEN n % 3 = 0 THEN 'gate' END,
    convert_to('{{"type":"zone.entered","severity":"' || CASE WHEN n = 0 THEN 'critical' ELSE 'info' END
        || '","camera":"cam-' || n % {CAMERAS} || '","data":{{"text":"' || repeat('x', 200) || '"}}}}', 'UTF8'), '\\x00'::bytea
FROM generate_series(0, $2::bigint - 1) AS n,
    LATERAL (SELECT now() - interval '1 hour' - ($1::int - 1) * interval '1 day' * (1 - n::float8 / $2)) AS t (at)
"""  # noqa: E501

TIPS_SQL = """
INSERT INTO sites (site) SELECT DISTINCT site FROM events ON CONFLICT DO NOTHING;
INSERT INTO cameras (camera, site) SELECT DISTINCT camera, site FROM events ON CONFLICT DO NOTHING;
INSERT INTO positions (camera, epoch, last_offset) SELECT camera, epoch, max("offset") FROM events GROUP BY 1, 2
ON CONFLICT (camera) DO UPDATE SET epoch = excluded.epoch, last_offset = excluded.last_offset
"""  # noqa: E501
