"""Instance fleets: capacity in units, met by instances of several types and both markets.

A fleet takes the first of its types that suits its strategy: on one machine every type is at hand. What it has
in each market is an instance group, so that all that is true of groups (joining, leaving, restarts) is of fleets.
"""
