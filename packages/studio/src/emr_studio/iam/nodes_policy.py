"""What code on the sample world's clusters may do."""

from __future__ import annotations

from emr_studio.iam.tiers import Json, allow, document


def nodes_policy(bucket: str, account_id: str, partition: str) -> Json:
    """The data of the sample bucket and the logs; no other team's bucket.

    AWS's own AmazonElasticMapReduceforEC2Role allows `s3:*` everywhere.
    """
    places = [f"arn:{partition}:s3:::{name}" for name in (bucket, f"aws-logs-{account_id}-*")]
    objects = ("GetObject*", "PutObject*", "DeleteObject*", "AbortMultipartUpload", "ListMultipartUploadParts")
    lists = ("ListBucket*", "GetBucketLocation", "GetBucketVersioning")
    look = ("Describe*", "ListBootstrapActions", "ListClusters", "ListInstanceGroups", "ListInstances", "ListSteps")
    return document(
        allow("ClusterState", "elasticmapreduce", look),
        allow("Machines", "ec2", ("Describe*",)),
        allow("Catalog", "glue", ("*Database*", "*Table*", "*Partition*")),
        allow("BucketNames", "s3", ("ListAllMyBuckets",)),
        allow("Buckets", "s3", lists, places),
        allow("Objects", "s3", objects, [f"{place}/*" for place in places]),
    )
