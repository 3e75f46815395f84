-- How often lines were crossed and zones entered and left, in buckets of a minute, an hour and a day of the events' own time. The cursor says up to
-- which event of a camera they are in: both change in one statement (storage/sql/counts.sql), so each event counts once.

CREATE TABLE counts (
    camera text COLLATE "C" NOT NULL,
    step   integer NOT NULL CHECK (step IN (60, 3600, 86400)), -- seconds
    bucket timestamptz NOT NULL, -- where it begins
    site   text COLLATE "C" NOT NULL, -- of the event: a camera may have moved since
    place  text COLLATE "C" NOT NULL CHECK (place IN ('line', 'zone')),
    name   text COLLATE "C" NOT NULL, -- of the line or zone
    label  text COLLATE "C" NOT NULL,
    came   bigint NOT NULL, -- in over a line, or into a zone
    went   bigint NOT NULL, -- out
    PRIMARY KEY (camera, step, bucket, site, place, name, label)
) WITH (fillfactor = 80);

CREATE INDEX counts_by_site ON counts (site, step, bucket);
CREATE INDEX counts_by_age ON counts (step, bucket);

CREATE TABLE count_cursors (
    camera   text COLLATE "C" PRIMARY KEY,
    epoch    text COLLATE "C" NOT NULL,
    "offset" bigint NOT NULL,
    received timestamptz NOT NULL -- the latest of the counted events
) WITH (fillfactor = 70);
