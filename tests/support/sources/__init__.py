"""What tests of the ways in share."""
