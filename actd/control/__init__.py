"""Pure decisions: no I/O and no clock; time comes in as integer nanoseconds."""
