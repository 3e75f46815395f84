-- How far each camera's stored events were dropped by retention: the chain of those that are left begins after this one. Without it an
-- audit could not tell what was dropped in order from what was taken away.

CREATE TABLE event_horizons (
    camera   text COLLATE "C" NOT NULL,
    epoch    text COLLATE "C" NOT NULL,
    "offset" bigint NOT NULL, -- the last event dropped
    hash     bytea NOT NULL,  -- its hash
    dropped  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (camera, epoch)
);
