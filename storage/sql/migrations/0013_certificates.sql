-- Certificates of devices are revoked beside tokens: `value` is the SHA-256 of the certificate in hex.

ALTER TABLE revocations DROP CONSTRAINT revocations_kind_check;
ALTER TABLE revocations ADD CONSTRAINT revocations_kind_check CHECK (kind IN ('jti', 'subject', 'certificate'));
