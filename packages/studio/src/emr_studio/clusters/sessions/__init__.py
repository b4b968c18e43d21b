"""Spark Connect sessions: each a driver and executors of its own, with a role of its own, reached through the edge."""
