"""The correctness checker: what a run did and saw against what is stored. Holds no import by
rule."""
