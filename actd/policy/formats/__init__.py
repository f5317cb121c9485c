"""One file per generation of ACT checkpoints; base.py is what they share."""
