"""Who may pass to a cluster's Livy."""
