-- The camera's row: who owns it, where its stream stands, what its state was. The fence, the dedupe authority and the snapshot in one.
--
-- It is rewritten several times a second. Nothing but the key is indexed and half of every page stays free, so an update is HOT: it
-- touches no index and the page cleans itself. The version of a snapshot's shape is inside the snapshot, which the core alone reads.

CREATE TABLE positions (
    camera      text COLLATE "C" PRIMARY KEY REFERENCES cameras ON DELETE CASCADE,
    owner       text,                       -- the incarnation of an actor process
    generation  bigint NOT NULL DEFAULT 0,  -- the fencing token: grows at every activation
    session     text NOT NULL DEFAULT '',   -- empty until the first hello
    last_seq    bigint NOT NULL DEFAULT 0,
    epoch       text NOT NULL,
    last_offset bigint NOT NULL DEFAULT 0,
    chain       bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    snapshot    bytea
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 200);

-- Inline and uncompressed where it fits a page: compressing 1-2 KB costs more than it saves at this rate of updates.
ALTER TABLE positions ALTER COLUMN snapshot SET STORAGE EXTERNAL;

-- Every session a camera ever had, so that an old one is recognised when it comes back.
CREATE TABLE sessions (
    camera      text COLLATE "C" NOT NULL REFERENCES cameras ON DELETE CASCADE,
    session     text COLLATE "C" NOT NULL,
    ordinal     bigint NOT NULL,
    first_hello timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (camera, session)
);
