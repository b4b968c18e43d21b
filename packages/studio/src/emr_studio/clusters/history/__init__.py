"""Application UIs of clusters: the live Spark UI, and a history server for each cluster that is looked at."""
