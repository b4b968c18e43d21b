"""Open EMR Studio: control plane, controllers, host agent and command line."""

__version__ = "0.1.0"
