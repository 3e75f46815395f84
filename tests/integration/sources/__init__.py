"""Ways in, on real brokers."""
