-- The personal values of events, beside the open parts that committed to them (actors.core.messages.personal). Each is encrypted
-- under a key that lies outside of this database and its log (storage.ports.keyring): destroying the key reaches every copy of
-- the row, deleting the row reaches this table alone.

CREATE TABLE event_personal (
    camera   text COLLATE "C" NOT NULL,
    epoch    text COLLATE "C" NOT NULL,
    "offset" bigint NOT NULL,
    received timestamptz NOT NULL,
    path     text COLLATE "C" NOT NULL,
    class    text NOT NULL,
    key      text COLLATE "C" NOT NULL, -- which key of the keyring
    sealed   bytea NOT NULL, -- nonce, then AES-256-GCM of salt and value, bound to all of the above but `received`
    PRIMARY KEY (camera, epoch, "offset", path, received)
) PARTITION BY RANGE (received);

CREATE TABLE event_personal_default PARTITION OF event_personal DEFAULT;

-- What an erasure asks for: everything under a key.
CREATE INDEX event_personal_by_key ON event_personal (key);

-- Which trace an event belongs to, for those who look for what happened. Not in the body: the hash does not cover it.
ALTER TABLE events ADD COLUMN trace bytea;
