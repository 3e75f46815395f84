-- People who sign in by name and password, their sessions, and the short tickets of these. Secrets are kept as hashes alone.

CREATE TABLE people (
    name text PRIMARY KEY,
    password text NOT NULL, -- Argon2id, PHC format
    roles text[] NOT NULL,
    sites text[] NOT NULL,
    disabled boolean NOT NULL DEFAULT false,
    created timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE people_sessions (
    id text PRIMARY KEY, -- the `jti` of whoever shows a ticket of it
    secret bytea NOT NULL UNIQUE, -- SHA-256 of the cookie
    person text NOT NULL REFERENCES people ON DELETE CASCADE,
    begun timestamptz NOT NULL DEFAULT now(),
    used timestamptz NOT NULL DEFAULT now(),
    ends timestamptz NOT NULL
);
CREATE INDEX people_sessions_by_person ON people_sessions (person);
CREATE INDEX people_sessions_by_end ON people_sessions (ends);

CREATE TABLE people_tickets (
    hash bytea PRIMARY KEY,
    session text NOT NULL REFERENCES people_sessions ON DELETE CASCADE,
    ends timestamptz NOT NULL
);
CREATE INDEX people_tickets_by_session ON people_tickets (session, ends);
