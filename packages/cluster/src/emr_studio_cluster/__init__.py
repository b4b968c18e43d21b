"""What runs inside a cluster node: kernel gateway, kernelspecs, node entry points."""
