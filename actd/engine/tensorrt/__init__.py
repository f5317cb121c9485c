"""TensorRT: plans built on the robot from an ONNX file, cached, checked, run as CUDA graphs."""
