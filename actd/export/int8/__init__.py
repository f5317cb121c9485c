"""8-bit engines: quantization and the layers that stay in float."""
