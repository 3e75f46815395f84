"""The cluster over Ray: its head, nodes and processes. Holds no import by rule."""
