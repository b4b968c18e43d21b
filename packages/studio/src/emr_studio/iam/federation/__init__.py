"""Proofs from elsewhere, pure: one-time codes, SAML assertions, OpenID Connect tokens. No database here."""
