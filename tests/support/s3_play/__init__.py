"""What S3 clients are made to do. Each script runs in the environment of its client, so it may import only that."""
