"""What was trained: the specification, the checkpoint it came from, and the network."""
