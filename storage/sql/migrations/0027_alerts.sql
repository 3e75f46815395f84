-- Alerts. Two writers, two rows: the condition of a point (a rule of a camera's scene at a place) is written with the camera's own fenced commit; what
-- people do about it stands beside, so that neither waits for the other's row.

CREATE TABLE alerts (
    camera      text COLLATE "C" NOT NULL,
    rule        text COLLATE "C" NOT NULL,
    place       text COLLATE "C" NOT NULL, -- a zone or line of the scene; empty: the camera
    site        text COLLATE "C" NOT NULL, -- of the camera when it was written
    severity    text COLLATE "C" NOT NULL,
    active      boolean NOT NULL,
    occurrences bigint NOT NULL, -- ever; triage names the one that it saw
    since       timestamptz NOT NULL, -- capture time at which it was raised last
    cause       text COLLATE "C" NOT NULL, -- the event that raised it; empty where there was none
    changed     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (camera, rule, place)
) WITH (fillfactor = 70);

CREATE TABLE alert_work (
    camera          text COLLATE "C" NOT NULL,
    rule            text COLLATE "C" NOT NULL,
    place           text COLLATE "C" NOT NULL,
    version         bigint NOT NULL DEFAULT 1, -- the ETag: who changes it says which one was seen
    acknowledged    bigint NOT NULL DEFAULT 0, -- up to this occurrence
    acknowledged_by text,
    acknowledged_at timestamptz,
    confirmed       bigint NOT NULL DEFAULT 0, -- acted on, up to this occurrence
    confirmed_by    text,
    assignee        text,
    verdict         text COLLATE "C" CHECK (verdict IN ('true', 'false', 'test', 'nuisance')),
    shelved_until   timestamptz,
    shelved_by      text,
    shelved_reason  text,
    PRIMARY KEY (camera, rule, place),
    FOREIGN KEY (camera, rule, place) REFERENCES alerts ON DELETE CASCADE,
    CHECK ((shelved_until IS NULL) = (shelved_by IS NULL))
);

-- What people did, in their order; each act has its record in the chained audit log too.
CREATE TABLE alert_log (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    camera     text COLLATE "C" NOT NULL,
    rule       text COLLATE "C" NOT NULL,
    place      text COLLATE "C" NOT NULL,
    occurrence bigint NOT NULL,
    act        text COLLATE "C" NOT NULL,
    who        text NOT NULL,
    note       text NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (camera, rule, place) REFERENCES alerts ON DELETE CASCADE
);

CREATE INDEX alert_log_by_point ON alert_log (camera, rule, place, number);
