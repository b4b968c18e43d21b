"""What is fast, measured beside the peers in the same run. `make bench` or `python -m bench [name …]`."""
