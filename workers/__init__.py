"""Background work: jobs, schedules and connectors, and the worker that runs them."""
