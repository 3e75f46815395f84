"""The console in a real browser, against a hub of the tests."""
