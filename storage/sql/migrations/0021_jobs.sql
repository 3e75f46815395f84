-- Background work. `jobs` holds what is still to do, or could not be done; what is over moves to `job_log`, so that however much was done, nothing that
-- is asked of `jobs` takes longer.

CREATE TABLE jobs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text COLLATE "C" NOT NULL,
    lane         text COLLATE "C" NOT NULL DEFAULT '', -- jobs of a lane run one at a time, in order of id; '' has no order
    key          text COLLATE "C", -- one live job of a kind and key
    args         text NOT NULL DEFAULT '{}', -- JSON
    state        text NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'running', 'dead')),
    run_at       timestamptz NOT NULL DEFAULT now(),
    attempt      integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL CHECK (max_attempts > 0),
    deadline     timestamptz, -- not begun after it
    owner        text NOT NULL DEFAULT '',
    generation   bigint NOT NULL DEFAULT 0, -- the fence: one more with every claim
    lease_until  timestamptz,
    cancel       boolean NOT NULL DEFAULT false, -- somebody asked the worker to stop
    progress     text NOT NULL DEFAULT '{}', -- JSON
    error        text NOT NULL DEFAULT '', -- of the last attempt
    who          text NOT NULL DEFAULT '', -- who wanted it: a token's subject, or a part of ours
    created      timestamptz NOT NULL DEFAULT now(),
    started      timestamptz, -- the last attempt
    died         timestamptz
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE INDEX jobs_due ON jobs (run_at, id) WHERE state = 'ready' AND lane = '';
CREATE INDEX jobs_lanes ON jobs (lane, id) WHERE lane <> '' AND state IN ('ready', 'running');
CREATE UNIQUE INDEX jobs_running_lane ON jobs (lane) WHERE lane <> '' AND state = 'running';
CREATE UNIQUE INDEX jobs_live_key ON jobs (kind, key) WHERE key IS NOT NULL AND state IN ('ready', 'running');
CREATE INDEX jobs_leases ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_deadlines ON jobs (deadline) WHERE state = 'ready' AND deadline IS NOT NULL;
CREATE INDEX jobs_dead ON jobs (died) WHERE state = 'dead';

CREATE TABLE job_log (
    id         bigint PRIMARY KEY,
    kind       text COLLATE "C" NOT NULL,
    lane       text COLLATE "C" NOT NULL,
    key        text COLLATE "C",
    args       text NOT NULL,
    state      text NOT NULL CHECK (state IN ('done', 'cancelled', 'discarded')),
    run_at     timestamptz NOT NULL,
    attempt    integer NOT NULL,
    max_attempts integer NOT NULL,
    deadline   timestamptz,
    owner      text NOT NULL,
    generation bigint NOT NULL,
    progress   text NOT NULL,
    result     text NOT NULL, -- JSON; of a cancelled or discarded one, why
    error      text NOT NULL,
    who        text NOT NULL,
    created    timestamptz NOT NULL,
    started    timestamptz,
    finished   timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 50000);

CREATE INDEX job_log_finished ON job_log (finished);
CREATE INDEX job_log_kinds ON job_log (kind, id);
CREATE INDEX job_log_not_done ON job_log (state, id) WHERE state <> 'done';

-- What makes jobs by time. `slot` is the next nominal moment, `due` when it counts; NULL: not reckoned yet.
CREATE TABLE schedules (
    name         text COLLATE "C" PRIMARY KEY,
    kind         text COLLATE "C" NOT NULL,
    args         text NOT NULL DEFAULT '{}', -- JSON
    max_attempts integer NOT NULL,
    every_s      double precision NOT NULL,
    at           text NOT NULL, -- HH:MM
    zone         text NOT NULL,
    jitter_s     double precision NOT NULL,
    slot         timestamptz,
    due          timestamptz,
    paused       boolean NOT NULL DEFAULT false,
    last_slot    timestamptz,
    last_job     bigint,
    who          text NOT NULL DEFAULT '',
    changed      timestamptz NOT NULL DEFAULT now()
);

-- Long-lived work, each with one owner at a time.
CREATE TABLE connectors (
    name        text COLLATE "C" PRIMARY KEY,
    kind        text COLLATE "C" NOT NULL,
    args        text NOT NULL DEFAULT '{}', -- JSON
    paused      boolean NOT NULL DEFAULT false,
    owner       text NOT NULL DEFAULT '',
    generation  bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    retry_at    timestamptz NOT NULL DEFAULT now(),
    failures    integer NOT NULL DEFAULT 0, -- in a row
    state       text NOT NULL DEFAULT '{}', -- JSON; what its owner wants to know again
    error       text NOT NULL DEFAULT '',
    who         text NOT NULL DEFAULT '',
    changed     timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);

-- Circuit breakers, by what they protect. `version` is what a change must name.
CREATE TABLE breakers (
    name    text COLLATE "C" PRIMARY KEY,
    body    text NOT NULL, -- JSON
    version bigint NOT NULL DEFAULT 1,
    changed timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);

-- The workers there are, so that each can tell its share of the connectors.
CREATE TABLE workers (
    name text COLLATE "C" PRIMARY KEY,
    seen timestamptz NOT NULL DEFAULT now()
);
