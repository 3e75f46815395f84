"""Tests of Eyrie."""
