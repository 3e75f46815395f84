"""``python -m edge``, installed as ``eyrie-edge``."""

from edge.sources.command import main

if __name__ == "__main__":
    raise SystemExit(main())
