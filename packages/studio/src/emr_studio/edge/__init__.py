"""The edge: Caddy's configuration, the questions it asks and the identity tokens it hands on."""
