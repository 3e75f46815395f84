-- Where the cluster API listens: one row, written by the supervisor that serves it.
CREATE TABLE cluster_api (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    host  text NOT NULL,
    port  integer NOT NULL,
    pid   integer NOT NULL,
    heard timestamptz NOT NULL DEFAULT now()
);
