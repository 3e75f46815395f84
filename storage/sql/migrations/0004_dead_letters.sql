-- What was refused, kept with its reason. Written in the transaction that moves the position past it, or by a hub when a frame had no seq.

CREATE TABLE dead_letters (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    camera   text NOT NULL, -- no reference: the sender may have named a camera that does not exist
    session  text NOT NULL,
    seq      bigint NOT NULL, -- 0 where the item had none
    code     text NOT NULL,
    detail   text NOT NULL,
    raw      bytea NOT NULL,
    received timestamptz NOT NULL,
    status   text NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'replayed', 'discarded'))
);

CREATE INDEX dead_letters_by_camera ON dead_letters (camera, id);
