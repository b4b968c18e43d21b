"""Kernels whose cells run in sessions of a Livy that is not ours: a cluster from outside (`door.py` of the studio)."""
