"""The `eyrie` command: one module per sub-command, each with `add_parser` and `run`. Holds no
import by rule."""
