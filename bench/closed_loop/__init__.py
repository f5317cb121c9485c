"""What precision, engine, chunk mode and latency do to a trained policy's success."""
