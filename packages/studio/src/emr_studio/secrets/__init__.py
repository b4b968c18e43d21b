"""Secrets Manager: named secrets with versions, sealed with keys of KMS."""
