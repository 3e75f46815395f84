"""What a wheel of Eyrie carries."""
