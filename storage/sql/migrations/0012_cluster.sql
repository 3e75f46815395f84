-- What the cluster should look like, what people ordered, what is under way, and why things are as they are. The supervisor keeps nothing else.

-- One row: the wanted numbers and densities. No row: what the settings say. `version` is the ETag.
CREATE TABLE cluster_wanted (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    version bigint NOT NULL,
    body    text NOT NULL, -- JSON
    who     text NOT NULL,
    changed timestamptz NOT NULL DEFAULT now()
);

-- Nodes (Ray's ids, hex) that get nothing new.
CREATE TABLE cluster_cordons (
    node   text COLLATE "C" PRIMARY KEY,
    reason text NOT NULL,
    who    text NOT NULL,
    since  timestamptz NOT NULL DEFAULT now()
);

-- What was ordered for a camera or a site. A row that orders nothing is deleted.
CREATE TABLE cluster_orders (
    kind    text NOT NULL CHECK (kind IN ('camera', 'site')),
    id      text COLLATE "C" NOT NULL,
    paused  boolean NOT NULL DEFAULT false,
    alone   boolean NOT NULL DEFAULT false,
    node    text NOT NULL DEFAULT '',
    reason  text NOT NULL DEFAULT '',
    who     text NOT NULL,
    changed timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, id)
);

-- Cameras in trouble: failures in a row, and who is kept away for them. `who` is empty while it was the supervisor.
CREATE TABLE cluster_troubles (
    camera      text COLLATE "C" PRIMARY KEY REFERENCES cameras ON DELETE CASCADE,
    failures    integer NOT NULL,
    restarts    bigint NOT NULL,
    quarantined boolean NOT NULL,
    reason      text NOT NULL,
    who         text NOT NULL DEFAULT '',
    since       timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE cluster_operations (
    number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id       text COLLATE "C" NOT NULL UNIQUE,
    kind     text NOT NULL,
    target   text NOT NULL,
    params   text NOT NULL, -- JSON
    state    text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
    done     bigint NOT NULL DEFAULT 0,
    total    bigint NOT NULL DEFAULT 0,
    detail   text NOT NULL DEFAULT '',
    figures  text NOT NULL DEFAULT '{}', -- JSON
    who      text NOT NULL,
    token    text NOT NULL,
    key      text,  -- the caller's idempotency key, for a day
    request  bytea NOT NULL, -- a hash of what was asked
    started  timestamptz NOT NULL DEFAULT now(),
    updated  timestamptz NOT NULL DEFAULT now(),
    finished timestamptz
);

CREATE UNIQUE INDEX cluster_operations_keys ON cluster_operations (who, key) WHERE key IS NOT NULL;
CREATE INDEX cluster_operations_open ON cluster_operations (number) WHERE finished IS NULL;

CREATE TABLE cluster_decisions (
    number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time    timestamptz NOT NULL DEFAULT now(),
    subject text COLLATE "C" NOT NULL, -- camera:cam-1, actor:…, hub:0, policy:0, node:…, cluster
    what    text NOT NULL,
    why     text NOT NULL
);

CREATE INDEX cluster_decisions_by_subject ON cluster_decisions (subject, number);
