"""What tests of personal values share."""
