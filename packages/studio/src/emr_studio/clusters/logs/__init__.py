"""Logs of clusters on their way to S3: of nodes and executors to LogUri, event logs to the studio's own bucket."""
