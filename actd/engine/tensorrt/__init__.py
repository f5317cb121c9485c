"""TensorRT: plans built on the robot from an ONNX file, kept, judged, and run as CUDA graphs."""
