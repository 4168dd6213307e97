"""One target and one pruned network: the gap between them, and how much may be pruned for a given gap."""
