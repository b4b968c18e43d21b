"""What runs inside a Workspace: server extension, kernels of the attached cluster, identity, zygote."""
