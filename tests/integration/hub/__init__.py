"""The hub over real sockets."""
