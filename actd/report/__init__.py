"""Pages about what happened: one self-contained HTML file each."""
