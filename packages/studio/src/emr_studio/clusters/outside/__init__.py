"""Clusters from outside: registered by URL, attached like any other, never started or ended by us."""
