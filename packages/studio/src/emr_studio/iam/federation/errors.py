"""Why a proof from an identity provider was not taken."""

from __future__ import annotations


class BadProof(Exception):
    """It is not what it claims to be: malformed, unsigned, of somebody else, for somebody else."""


class ExpiredProof(Exception):
    """It was good once."""


class ProviderUnreachable(Exception):
    """The provider did not answer, or not in time; another try may help."""
