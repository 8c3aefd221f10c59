"""What check-cluster.py is made of: a cluster on free ports, clients, messages, and the ledger of what was sent."""
