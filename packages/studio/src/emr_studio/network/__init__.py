"""Networks: VPCs, subnets, security groups and the addresses taken from subnets."""
