"""Camera actors: the pure core (`actors.core`) and the Ray shell around it. Holds no import by
rule."""
