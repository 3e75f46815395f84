-- name: put_actor
INSERT INTO actors (name, node, pid, state, reason) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE SET node = $2, pid = $3, state = $4, reason = $5, heartbeat = now();

-- name: beat_actor
UPDATE actors SET heartbeat = now() WHERE name = $1 RETURNING name;

-- name: all_actors
SELECT name, node, pid, state, reason, started, heartbeat, extract(epoch FROM now() - heartbeat)::float8 AS age_s FROM actors ORDER BY name;

-- name: remove_actor
DELETE FROM actors WHERE name = $1;

-- name: put_hub
INSERT INTO hubs (name, host, port, private_port, pid) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE SET host = $2, port = $3, private_port = $4, pid = $5, heartbeat = now();

-- name: all_hubs
SELECT name, host, port, private_port, pid, started, extract(epoch FROM now() - heartbeat)::float8 AS age_s FROM hubs ORDER BY name;

-- name: remove_hub
DELETE FROM hubs WHERE name = $1;

-- name: put_api
INSERT INTO cluster_api (host, port, pid) VALUES ($1, $2, $3)
ON CONFLICT (one) DO UPDATE SET host = $1, port = $2, pid = $3, heard = now();

-- name: find_api
SELECT host, port, pid, extract(epoch FROM now() - heard)::float8 AS age_s FROM cluster_api;
