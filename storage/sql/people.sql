-- name: person
SELECT name, password, roles, sites, disabled FROM people WHERE name = $1;

-- name: all
SELECT name, '' AS password, roles, sites, disabled FROM people ORDER BY name LIMIT $1;

-- name: add
INSERT INTO people (name, password, roles, sites) VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO NOTHING RETURNING name;

-- name: change
UPDATE people SET password = coalesce($2, password), roles = coalesce($3, roles), sites = coalesce($4, sites),
    disabled = coalesce($5, disabled)
WHERE name = $1 RETURNING name;

-- name: end_all
WITH gone AS (
    DELETE FROM people_sessions WHERE person = $1 RETURNING id, ends
)
INSERT INTO revocations (kind, value, before, until) SELECT 'jti', id, now(), ends + interval '1 hour' FROM gone
ON CONFLICT (kind, value) DO NOTHING;

-- name: open
INSERT INTO people_sessions (id, secret, person, ends)
SELECT $1, $2, name, now() + make_interval(secs => $5) FROM people WHERE name = $3 AND password = $4 AND NOT disabled FOR SHARE
RETURNING id;

-- name: forget
DELETE FROM people_sessions WHERE id IN (
    SELECT id FROM people_sessions WHERE ends < now() OR used < now() - make_interval(secs => $1) LIMIT 1000 FOR UPDATE SKIP LOCKED
);

-- name: renew
WITH found AS (
    UPDATE people_sessions AS s SET used = now() FROM people AS p
    WHERE s.secret = $1 AND p.name = s.person AND NOT p.disabled AND s.ends > now() AND s.used > now() - make_interval(secs => $3)
    RETURNING s.id, s.person, p.roles, p.sites, s.begun, s.ends
), old AS (
    DELETE FROM people_tickets WHERE hash IN (
        SELECT t.hash FROM people_tickets AS t JOIN found ON t.session = found.id ORDER BY t.ends DESC OFFSET $5
    )
), ticket AS (
    INSERT INTO people_tickets (hash, session, ends)
    SELECT $2, id, least(ends, now() + make_interval(secs => $4)) FROM found
    RETURNING ends
)
SELECT found.person, found.id AS session, found.roles, found.sites, extract(epoch FROM found.begun)::bigint AS begun_s,
    floor(extract(epoch FROM ticket.ends))::bigint AS ticket_ends_s, extract(epoch FROM found.ends)::bigint AS ends_s
FROM found, ticket;

-- name: holder
SELECT s.person, s.id AS session, p.roles, p.sites, extract(epoch FROM s.begun)::bigint AS begun_s,
    floor(extract(epoch FROM t.ends))::bigint AS ticket_ends_s, extract(epoch FROM s.ends)::bigint AS ends_s
FROM people_tickets AS t JOIN people_sessions AS s ON s.id = t.session JOIN people AS p ON p.name = s.person
WHERE t.hash = $1 AND t.ends > now() AND s.ends > now() AND NOT p.disabled;

-- name: end
WITH gone AS (
    DELETE FROM people_sessions WHERE secret = $1 RETURNING id, person, ends
), revoked AS (
    INSERT INTO revocations (kind, value, before, until) SELECT 'jti', id, now(), ends + interval '1 hour' FROM gone
    ON CONFLICT (kind, value) DO NOTHING
)
SELECT person FROM gone;
