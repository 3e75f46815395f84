"""Tests of `consume`, by values alone."""
