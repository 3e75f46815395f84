"""What runs, benches and searches share: a private stack, histories, results. Holds no import by
rule."""
