"""Consumers of Eyrie's streams: each effect once, in order, holes told. Without Ray and server."""
