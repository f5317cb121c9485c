"""Rewriting the ONNX graph: exact optimization, image input, fp16."""
