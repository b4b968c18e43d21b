"""Sign-in: console sessions, presigned links, and who may pass to a Workspace."""
