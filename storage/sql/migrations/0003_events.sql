-- Durable events, partitioned by the day they were received (a camera's own clock may be years off). Days are made ahead by
-- storage.events.partitions; the default partition catches what has none, so that no batch fails for it.
--
-- The key holds the partition column because PostgreSQL demands it. It is a belt only: the camera's row is the dedupe authority.

CREATE TABLE events (
    camera   text COLLATE "C" NOT NULL,
    epoch    text COLLATE "C" NOT NULL,
    "offset" bigint NOT NULL,
    received timestamptz NOT NULL,
    time     timestamptz NOT NULL,
    type     text NOT NULL,
    severity text NOT NULL,
    site     text COLLATE "C" NOT NULL,
    session  text NOT NULL,
    seq      bigint NOT NULL,
    track    text,
    label    text,
    zone     text,
    line     text,
    body     bytea NOT NULL, -- exactly the bytes that were hashed
    hash     bytea NOT NULL,
    PRIMARY KEY (camera, epoch, "offset", received)
) PARTITION BY RANGE (received);

CREATE TABLE events_default PARTITION OF events DEFAULT;

-- The catch-up of walls and of `events:fleet`: a site's events by time.
CREATE INDEX events_by_site ON events (site, received);
