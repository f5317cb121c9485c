"""One file per format of ACT checkpoints; base.py is what they share."""
