"""Export a checkpoint to an engine folder: needs torch, runs on a workstation."""
