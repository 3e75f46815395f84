"""The stores against real servers: faults, concurrency, migrations."""
