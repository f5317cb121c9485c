"""The flight log: every tick and every chunk of a run, on disk."""
