"""Git repositories (emr-studio.md 8): registered for the account, linked with Workspaces."""
