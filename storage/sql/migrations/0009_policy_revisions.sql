-- Policies as a product: revisions are kept as they were uploaded and signed, and an activation is a row of its own that says who did it.
-- The newest activation is in force. Its number is the ETag of the policy, and the compare-and-swap of whoever activates next.

ALTER TABLE policy_revisions
    DROP COLUMN active,
    ADD COLUMN number    bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    ADD COLUMN signature bytea NOT NULL DEFAULT '',
    ADD COLUMN author    text NOT NULL DEFAULT '', -- a token's subject; empty: the product itself, at its start
    ADD COLUMN note      text NOT NULL DEFAULT '';

CREATE TABLE policy_activations (
    generation bigint PRIMARY KEY,
    revision   text COLLATE "C" NOT NULL REFERENCES policy_revisions,
    previous   text COLLATE "C" REFERENCES policy_revisions,
    signature  bytea NOT NULL,
    author     text NOT NULL,
    time       timestamptz NOT NULL DEFAULT now()
);
