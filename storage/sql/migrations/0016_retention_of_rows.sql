-- What `storage.postgres.row_retention` and the newest session of a camera are looked for by.

CREATE INDEX dead_letters_by_received ON dead_letters (received);
CREATE INDEX sessions_by_ordinal ON sessions (camera, ordinal);
