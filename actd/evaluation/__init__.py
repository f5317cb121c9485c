"""Compare engines in accuracy and speed: `actd eval` and `actd bench`."""
