"""Steps: the work that a cluster is given, one program after the other (or some at a time)."""
