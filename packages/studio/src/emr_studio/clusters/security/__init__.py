"""What guards clusters: security configurations, block public access."""
