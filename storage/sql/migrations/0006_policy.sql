-- Which policy is in force and which tokens no longer hold. Hubs read both every second.

CREATE TABLE policy_revisions (
    revision text COLLATE "C" PRIMARY KEY,
    source   bytea NOT NULL,
    created  timestamptz NOT NULL DEFAULT now(),
    active   boolean NOT NULL DEFAULT false
);

-- At most one is in force, whoever writes.
CREATE UNIQUE INDEX policy_revisions_active ON policy_revisions (active) WHERE active;

CREATE TABLE revocations (
    kind    text NOT NULL CHECK (kind IN ('jti', 'subject')),
    value   text NOT NULL,
    before  timestamptz NOT NULL, -- of a subject: tokens issued before this
    created timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, value)
);

CREATE INDEX revocations_by_age ON revocations (created);
