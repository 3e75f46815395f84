-- Which database this is, so that a restored one is known by itself (`storage.postgres.place`). One row.

CREATE TABLE database_place (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    place   text NOT NULL,                      -- system identifier / timeline / database / file of the table `positions`
    stamp   timestamptz,                        -- when the data directory got its files here; null where we may not ask
    renewed timestamptz NOT NULL DEFAULT now()  -- when the epochs were renewed last
);
