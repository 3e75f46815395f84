-- A camera that ended its process twice has one of its own until somebody releases it.

ALTER TABLE cluster_troubles ADD COLUMN alone boolean NOT NULL DEFAULT false;
