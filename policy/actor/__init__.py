"""The policy actor, its revisions and its log. Holds no import by rule."""
