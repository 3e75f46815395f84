-- Requests of data subjects, and orders that something must stay. None of them holds a value: `privacy_places` says where values are.

CREATE TABLE privacy_requests (
    id          text COLLATE "C" PRIMARY KEY, -- random: a restored database must not give one out again
    kind        text NOT NULL, -- access, erasure
    state       text NOT NULL, -- asked, approved, executing, done, held, withdrawn
    cameras     text[] NOT NULL,
    since       timestamptz NOT NULL, -- received from then on,
    until       timestamptz NOT NULL, -- and before then
    whole       boolean NOT NULL, -- all of cameras and time, not only the places found when it was asked for
    purpose     text NOT NULL,
    asked_by    text NOT NULL,
    asked       timestamptz NOT NULL DEFAULT now(),
    due         timestamptz NOT NULL,
    approved_by text NOT NULL DEFAULT '',
    approved    timestamptz,
    ended       timestamptz,
    outcome     text NOT NULL DEFAULT '',
    keys        text[] NOT NULL DEFAULT '{}', -- what the values lay under when it began
    steps       text NOT NULL DEFAULT '{}', -- JSON: step → what it did
    receipt     text NOT NULL DEFAULT '',
    CHECK (approved_by = '' OR approved_by <> asked_by)
);

CREATE INDEX privacy_requests_by_time ON privacy_requests (asked, id);

CREATE TABLE privacy_places (
    request  text COLLATE "C" NOT NULL REFERENCES privacy_requests ON DELETE CASCADE,
    camera   text COLLATE "C" NOT NULL,
    epoch    text COLLATE "C" NOT NULL,
    "offset" bigint NOT NULL,
    received timestamptz NOT NULL,
    path     text COLLATE "C" NOT NULL,
    class    text NOT NULL,
    PRIMARY KEY (request, camera, epoch, "offset", path)
);

CREATE TABLE holds (
    id          text COLLATE "C" PRIMARY KEY,
    cameras     text[] NOT NULL,
    since       timestamptz NOT NULL,
    until       timestamptz NOT NULL,
    reason      text NOT NULL,
    owner       text NOT NULL,
    placed      timestamptz NOT NULL DEFAULT now(),
    ends        timestamptz NOT NULL,
    released    timestamptz,
    released_by text NOT NULL DEFAULT ''
);

CREATE INDEX holds_in_force ON holds (ends) WHERE released IS NULL;
