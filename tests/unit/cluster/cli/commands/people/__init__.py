"""Unit tests of `cluster.cli.commands`."""
