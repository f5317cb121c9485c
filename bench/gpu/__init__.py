"""Everything that a GPU must prove, in one call: `python -m bench.gpu`."""
