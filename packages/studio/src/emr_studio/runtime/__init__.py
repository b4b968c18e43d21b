"""The only room that starts processes: the contract, the host agent and its client."""
