"""The audit trail: one CloudTrail record for every call.

    a call ──> record ──> journal (a file, before the answer is sent)
                             └──> collector ──> the database ──> LookupEvents
                                                    └──> controller ──> log and digest files in S3

The journal is what makes a record safe: one write to a file, tens of microseconds, there after
kill -9. Nobody who makes a request waits for the database.
"""
