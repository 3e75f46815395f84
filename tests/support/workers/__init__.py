"""What tests of the workers share."""
