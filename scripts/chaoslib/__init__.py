"""What scripts/chaos is made of: a cluster with its disks and network, a workload, faults, the history and its checker."""
