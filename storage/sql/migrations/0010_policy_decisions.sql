-- The log of decisions, and revisions that are tried beside the one in force.

CREATE TABLE policy_decisions (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time        timestamptz NOT NULL DEFAULT now(),
    revision    text NOT NULL,
    action      text NOT NULL,
    role        text NOT NULL,
    site        text NOT NULL,
    allow       boolean NOT NULL,
    rule        text NOT NULL,
    obligations text NOT NULL,  -- JSON: redact, max_hz
    input_hash  bytea NOT NULL, -- SHA-256 of the whole input
    input       text NOT NULL,  -- JSON, masked
    dropped     bigint NOT NULL DEFAULT 0 -- decisions that were lost before this one, for want of room or of a database
);

CREATE INDEX policy_decisions_by_time ON policy_decisions (time);

CREATE TABLE policy_shadows (
    revision  text COLLATE "C" PRIMARY KEY REFERENCES policy_revisions,
    author    text NOT NULL,
    started   timestamptz NOT NULL DEFAULT now(),
    ended     timestamptz,
    last_id   bigint NOT NULL,           -- of the log: how far it was compared
    evaluated bigint NOT NULL DEFAULT 0,
    error     text NOT NULL DEFAULT ''
);

-- One at a time.
CREATE UNIQUE INDEX policy_shadows_running ON policy_shadows ((true)) WHERE ended IS NULL;

CREATE TABLE policy_flips (
    revision text COLLATE "C" NOT NULL REFERENCES policy_shadows ON DELETE CASCADE,
    kind     text NOT NULL,
    action   text NOT NULL,
    role     text NOT NULL,
    site     text NOT NULL,
    count    bigint NOT NULL,
    example  text NOT NULL,
    PRIMARY KEY (revision, kind, action, role, site)
);
