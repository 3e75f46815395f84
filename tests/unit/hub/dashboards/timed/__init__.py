"""Unit tests of `hub.dashboards`."""
