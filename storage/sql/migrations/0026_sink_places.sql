-- Where a broker keeps the last message of each cursor, so that one who lost its tail is noticed, and where a sink began, so that
-- nothing from before is sent when a broker lost all.

ALTER TABLE sink_cursors
    ADD COLUMN place        bigint NOT NULL DEFAULT 0, -- the number of the last message in its stream; 0: none, or no broker
    ADD COLUMN begin_epoch  text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN begin_offset bigint NOT NULL DEFAULT 0;
