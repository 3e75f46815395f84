"""What a deployment promises against people: the checks that docs/security.md lists."""
