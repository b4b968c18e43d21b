"""A Hive metastore beside Spark, without a database of its own: it keeps everything in the Data Catalog.

    Spark's Hive client ── Thrift ──> this process ── AWS Glue's API ──> the studio's Data Catalog

It runs as the program that it serves and with its role: what the role may not, is refused by IAM and said.
Like Hive's own it makes the folder of a new table and deletes the data of a dropped one, with the same role.
"""
