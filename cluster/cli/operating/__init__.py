"""What the sub-commands of `eyrie cluster` are made of."""
