-- Sinks: destinations outside of Eyrie that get events. The table `events` is the outbox; a sink has one cursor per camera in it.

CREATE TABLE sinks (
    name    text COLLATE "C" PRIMARY KEY,
    kind    text COLLATE "C" NOT NULL,
    spec    text NOT NULL, -- JSON: destination, filter, view
    state   text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'disabled')),
    reason  text NOT NULL DEFAULT '', -- why it is not active
    secrets bytea NOT NULL DEFAULT '', -- encrypted under a key that lies outside of this database
    who     text NOT NULL DEFAULT '',
    created timestamptz NOT NULL DEFAULT now(),
    changed timestamptz NOT NULL DEFAULT now()
);

-- How far each camera was passed on: everything up to (epoch, "offset") was sent, or was not for this sink. Rewritten with every
-- turn of the sink; nothing but the key is indexed, so an update is HOT.
CREATE TABLE sink_cursors (
    sink     text COLLATE "C" NOT NULL REFERENCES sinks ON DELETE CASCADE,
    camera   text COLLATE "C" NOT NULL,
    epoch    text COLLATE "C" NOT NULL DEFAULT '', -- empty: before the first
    "offset" bigint NOT NULL DEFAULT 0,
    sent     text NOT NULL DEFAULT '', -- the id of the last message that went out, which the next one names
    received timestamptz, -- of the event at the cursor; where the next read begins to look
    changed  timestamptz NOT NULL DEFAULT now(),
    failures integer NOT NULL DEFAULT 0, -- in a row, of the next event
    since    timestamptz, -- the first of them
    retry_at timestamptz,
    parked   boolean NOT NULL DEFAULT false, -- waits for somebody: its next event was refused for good
    error    text NOT NULL DEFAULT '',
    PRIMARY KEY (sink, camera)
) WITH (fillfactor = 50);

-- What did not go out, and why: skipped by somebody, or lost because retention was faster.
CREATE TABLE sink_holes (
    sink    text COLLATE "C" NOT NULL REFERENCES sinks ON DELETE CASCADE,
    camera  text COLLATE "C" NOT NULL,
    epoch   text COLLATE "C" NOT NULL,
    first   bigint NOT NULL, -- offsets, both included
    last    bigint NOT NULL,
    kind    text NOT NULL CHECK (kind IN ('skipped', 'lost')),
    reason  text NOT NULL,
    error   text NOT NULL DEFAULT '', -- of the last attempt
    silent  boolean NOT NULL DEFAULT false, -- the receiver refuses to be told, too
    who     text NOT NULL DEFAULT '',
    at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sink, camera, epoch, first)
);

-- The newest attempts of each sink.
CREATE TABLE sink_attempts (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sink    text COLLATE "C" NOT NULL REFERENCES sinks ON DELETE CASCADE,
    camera  text COLLATE "C" NOT NULL,
    event   text NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    ms      integer NOT NULL,
    status  integer NOT NULL, -- of HTTP; 0: no answer
    outcome text NOT NULL, -- delivered, retry, parked, disabled
    detail  text NOT NULL, -- the error, or the beginning of the answer
    replay  boolean NOT NULL DEFAULT false
);

CREATE INDEX sink_attempts_of_sink ON sink_attempts (sink, id);

-- Events that somebody wants to be sent once more, in order per camera.
CREATE TABLE sink_replays (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sink    text COLLATE "C" NOT NULL REFERENCES sinks ON DELETE CASCADE,
    camera  text COLLATE "C" NOT NULL,
    epoch   text COLLATE "C" NOT NULL,
    next    bigint NOT NULL, -- offsets
    last    bigint NOT NULL,
    failures integer NOT NULL DEFAULT 0,
    retry_at timestamptz NOT NULL DEFAULT now(),
    error   text NOT NULL DEFAULT '',
    who     text NOT NULL DEFAULT '',
    made    timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX sink_replays_of_sink ON sink_replays (sink, id);
