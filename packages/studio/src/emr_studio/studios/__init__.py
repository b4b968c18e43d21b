"""Studios: the resource itself, its rules, its tags and its access URL."""
