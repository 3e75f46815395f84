-- A revocation lives as long as what it revokes: until that ends, where it is known, else for ever. Keys and certificates live long.

ALTER TABLE revocations ADD COLUMN until timestamptz; -- NULL: for ever, also what was revoked before
DROP INDEX revocations_by_age;
CREATE INDEX revocations_by_end ON revocations (until);
