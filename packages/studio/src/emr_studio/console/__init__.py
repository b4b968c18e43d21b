"""The web console's pages: what a browser loads; everything else it asks of the AWS operations."""
