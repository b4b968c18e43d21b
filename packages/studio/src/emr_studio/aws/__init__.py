"""The wire: AWS's models, protocols, signatures, errors, the operation registry and the pipeline.

Knows nothing of EMR and nothing of where identities come from; see `context.py` for the ports.
"""
