"""Livy's REST protocol (sessions, statements, batches) at port 8998, over the cluster's own Spark.

    api.py           what a request means: pure of HTTP, so that it is tested without a server
    asked.py         bodies of requests, checked; as Spark's properties
    statements.py    a statement and its output, made of what a kernel says
    sessions.py      a session: a kernel of the gateway with a driver of its own
    batches.py       a batch: `spark-submit`, run by the step runner
    interpreter.py   inside the kernel: Python, SQL and Scala on one driver
    server.py        HTTP, and the way to the gateway

The protocol: https://livy.apache.org/docs/latest/rest-api.html. Apache Livy itself is built for Spark 2 and 3, not 4.
"""
