"""The Data Catalog: AWS Glue's API for databases, tables and partitions.

What one cluster writes as a table, the next reads: Spark's Hive client asks a small metastore beside it
(`emr_studio_cluster.metastore`), which asks this API with the credentials of whoever runs there.
"""
