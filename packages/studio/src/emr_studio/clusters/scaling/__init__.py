"""How many instances a running cluster has: by hand, by its load, and none when nobody uses it."""
