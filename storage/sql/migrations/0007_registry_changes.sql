-- The registry can be changed: names and places, versions that are the ETags, and deletion as a mark, because events, positions and
-- dead letters outlive the camera they tell of. Dead letters say who handled them and why.

ALTER TABLE sites
    ADD COLUMN name    text NOT NULL DEFAULT '',
    ADD COLUMN place   text NOT NULL DEFAULT '{}', -- JSON of actors.core.scene.scene.Place; a camera's own is in its scene
    ADD COLUMN version bigint NOT NULL DEFAULT 1,
    ADD COLUMN deleted timestamptz;

ALTER TABLE cameras
    ADD COLUMN version bigint NOT NULL DEFAULT 1,  -- grows with every change of the row, the scene's included
    ADD COLUMN deleted timestamptz;

ALTER TABLE dead_letters
    ADD COLUMN reason     text NOT NULL DEFAULT '', -- why it was discarded
    ADD COLUMN handled_by text NOT NULL DEFAULT '', -- the subject of a token
    ADD COLUMN handled    timestamptz;
