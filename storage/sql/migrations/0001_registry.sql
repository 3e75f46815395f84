-- Sites and cameras: what is known before anything runs. Read by the registry, the supervisor and every activation (the scene).

CREATE TABLE sites (
    site    text COLLATE "C" PRIMARY KEY,
    created timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE cameras (
    camera        text COLLATE "C" PRIMARY KEY,
    site          text COLLATE "C" NOT NULL REFERENCES sites,
    name          text NOT NULL DEFAULT '',
    scene         text NOT NULL DEFAULT '{}',   -- JSON of actors.core.scene.scene.Scene, as it was given
    scene_version bigint NOT NULL DEFAULT 1,    -- also the ETag of the camera's rules
    tags          text[] NOT NULL DEFAULT '{}', -- for policy
    created       timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX cameras_by_site ON cameras (site, camera);
