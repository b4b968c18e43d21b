"""Clusters: EMR on EC2, on real Spark.

`operations` writes what is wanted, `controller` makes it so through the runtime, `nodes` says which
processes a cluster is made of, `releases` which Spark a release label means.
"""
