"""The engines that evaluate Rego, and what is let near them. Holds no import by rule."""
