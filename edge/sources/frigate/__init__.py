"""Frigate over MQTT and its configuration."""
