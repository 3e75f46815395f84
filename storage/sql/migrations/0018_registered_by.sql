-- Which device brought a camera about (a token's subject), so that it can be bound; NULL: a person, or nobody knows.

ALTER TABLE cameras ADD COLUMN registered_by text;
CREATE INDEX cameras_by_device ON cameras (registered_by) WHERE registered_by IS NOT NULL;
