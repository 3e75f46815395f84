"""Fixtures of the cluster's unit tests."""

from tests.support.cluster.supervisor_rig import rigs

__all__ = ["rigs"]
