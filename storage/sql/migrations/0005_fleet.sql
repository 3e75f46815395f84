-- What runs: heartbeats of actor processes and hubs. Failure detection only; nothing is fenced by these rows.

CREATE TABLE actors (
    name      text COLLATE "C" PRIMARY KEY, -- the incarnation
    node      text NOT NULL,
    pid       integer NOT NULL,
    state     text NOT NULL,
    reason    text NOT NULL,
    started   timestamptz NOT NULL DEFAULT now(),
    heartbeat timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

CREATE TABLE hubs (
    name         text COLLATE "C" PRIMARY KEY,
    host         text NOT NULL,
    port         integer NOT NULL,
    private_port integer NOT NULL, -- loopback: health, metrics, canary
    pid          integer NOT NULL,
    started      timestamptz NOT NULL DEFAULT now(),
    heartbeat    timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
