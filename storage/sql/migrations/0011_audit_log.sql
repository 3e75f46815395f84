-- Who changed what. Each entry is chained to the one before by its hash and sealed; the head says how many there are, sealed too.

CREATE TABLE audit_log (
    number   bigint PRIMARY KEY, -- 1, 2, 3, … without a hole
    time_us  bigint NOT NULL,    -- microseconds since 1970, as the entry was sealed with
    who      text NOT NULL,      -- a token's subject
    token    text NOT NULL,      -- its jti
    action   text NOT NULL,
    target   text NOT NULL,
    detail   text NOT NULL,
    hash     bytea NOT NULL,
    seal     bytea NOT NULL
);

-- One row. Locked by whoever appends, so entries come one after the other.
CREATE TABLE audit_head (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    number bigint NOT NULL,
    hash   bytea NOT NULL,
    seal   bytea NOT NULL
);

INSERT INTO audit_head (number, hash, seal) VALUES (0, decode(repeat('00', 32), 'hex'), '');
