"""The REST API of the cluster."""
