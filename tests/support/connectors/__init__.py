"""What tests of connectors share."""
