"""Workspaces: the overlay's editors, their states and the controller that runs them."""
