"""What is seen of a running daemon, and how its figures are measured."""
