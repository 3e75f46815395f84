"""Links between hub and actor processes: items one way, answers the other, over one socket."""
