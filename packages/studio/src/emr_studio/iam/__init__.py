"""Identity and access: who callers are (IAM, STS) and what they may do (the policy engine).

`policy/` is the language itself, pure. `model.py` holds the tables, `operations/` the API of IAM and
STS, `identity.py` the two ports that the pipeline uses (credentials, authorisation), `sessions.py`
the stateless temporary credentials.
"""
