"""DescribeJobFlows: the form in which EMR showed clusters before DescribeCluster; old scripts still ask for it."""
