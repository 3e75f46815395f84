"""What every process of ours has: settings, a log, metrics, room on its disk. Holds no import by
rule."""
