"""Whether to trust an engine: errors in joint units, as data and as a page."""
