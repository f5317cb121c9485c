"""A TensorRT that computes with ONNX Runtime, on the memory of the driver beside it.

It has the interface that actd uses and no more. A plan is the ONNX file's bytes; running one
enqueues a function on the stream, which reads and writes the addresses that were set, so what
is not copied, bound or synchronised right gives wrong numbers here as on a GPU. The switches at
the top make it fail as the real one does.
"""

from __future__ import annotations

import ctypes
import json
import math
import weakref
from enum import Enum, IntEnum
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

__version__ = "11.4.0"

capturable = True
refuses_plans = False
added_error = 0.0
inspected = ""
builds = 0
alive = 0

_libcuda = ctypes.CDLL("libcuda.so.1")
_HOST_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_libcuda.cuLaunchHostFunc.argtypes = (ctypes.c_void_p, _HOST_FUNCTION, ctypes.c_void_p)


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class NetworkDefinitionCreationFlag(IntEnum):
    STRONGLY_TYPED = 1


class MemoryPoolType(Enum):
    WORKSPACE = 0


class BuilderFlag(Enum):
    TF32 = 0


class ProfilingVerbosity(Enum):
    DETAILED = 2


class LayerInformationFormat(Enum):
    JSON = 1


class LayerType(Enum):
    CONSTANT = 0
    CONVOLUTION = 1
    OTHER = 2


class DataType(Enum):
    FLOAT = "float32"
    HALF = "float16"
    INT8 = "int8"
    UINT8 = "uint8"


_TYPES = {
    onnx.TensorProto.FLOAT: DataType.FLOAT,
    onnx.TensorProto.FLOAT16: DataType.HALF,
    onnx.TensorProto.INT8: DataType.INT8,
}


def volume(shape):
    return math.prod(shape)


def nptype(dtype):
    return np.dtype(dtype.value)


class _Tensor:
    def __init__(self, shape, dtype):
        self.shape = tuple(shape)
        self.dtype = dtype


class _Layer:
    num_outputs = 1

    def __init__(self, kind, shape, dtype):
        self.type = kind
        self._output = _Tensor(shape, dtype)

    def get_output(self, index):
        return self._output


def _layers(model):
    """What the real parser would make of weights and of quantisation, and nothing else."""
    graph = onnx.load_from_string(model).graph
    constants = [
        _Layer(LayerType.CONSTANT, one.dims, _TYPES[one.data_type])
        for one in graph.initializer
        if one.data_type in _TYPES
    ]
    quantised = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    return constants + [_Layer(LayerType.OTHER, (), DataType.INT8) for _ in quantised]


class _Network:
    model = b""
    layers = ()

    @property
    def num_layers(self):
        return len(self.layers)

    def get_layer(self, index):
        return self.layers[index]


class _ParserError:
    def node_operator(self):
        return "Whole"

    def node_name(self):
        return "file"

    def desc(self):
        return "not an ONNX model"


class OnnxParser:
    num_errors = 1

    def __init__(self, network, logger):
        self._network = network

    def parse_from_file(self, path):
        self._network.model = Path(path).read_bytes()
        try:
            self._network.layers = _layers(self._network.model)
        except Exception:  # noqa: BLE001  protobuf has several
            return False
        return True

    def get_error(self, index):
        return _ParserError()


class _TimingCache:
    def __init__(self, data):
        self._data = data

    def serialize(self):
        return b"timed" + self._data[:0]


class _Config:
    builder_optimization_level = 3
    profiling_verbosity = None

    def set_memory_pool_limit(self, pool, size):
        pass

    def clear_flag(self, flag):
        pass

    def create_timing_cache(self, data):
        return _TimingCache(data)

    def set_timing_cache(self, cache, ignore_mismatch):
        return True


class Builder:
    def __init__(self, logger):
        pass

    def create_network(self, flags):
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return _Network()

    def create_builder_config(self):
        return _Config()

    def build_serialized_network(self, network, config):
        global builds  # noqa: PLW0603
        builds += 1
        return network.model


class Runtime:
    def __init__(self, logger):
        self._logger = logger

    def deserialize_cuda_engine(self, plan):
        if refuses_plans:
            self._logger.log(ILogger.ERROR, "the plan is of another TensorRT")
            return None
        return _Engine(plan)


class _Engine:
    def __init__(self, plan):
        self.session = onnxruntime.InferenceSession(plan, providers=["CPUExecutionProvider"])
        self.types = {layer.get_output(0).dtype for layer in _layers(plan)}
        self.tensors = [*self.session.get_inputs(), *self.session.get_outputs()]

    @property
    def num_io_tensors(self):
        return len(self.tensors)

    def get_tensor_name(self, index):
        return self.tensors[index].name

    def _tensor(self, name):
        return next(tensor for tensor in self.tensors if tensor.name == name)

    def get_tensor_shape(self, name):
        return self._tensor(name).shape

    def get_tensor_dtype(self, name):
        return DataType.UINT8 if "uint8" in self._tensor(name).type else DataType.FLOAT

    def create_engine_inspector(self):
        return _Inspector(self.types)

    def create_execution_context(self):
        return _Context(self)


class _Inspector:
    def __init__(self, types):
        self._types = types

    def get_engine_information(self, form):
        if inspected:
            return inspected
        words = {DataType.FLOAT: "FP32", DataType.HALF: "FP16", DataType.INT8: "Int8"}
        found = [f"Row major linear {words[kind]} format" for kind in self._types]
        return json.dumps({"Layers": [{"Outputs": [{"Format/Datatype": one}]} for one in found]})


class _Context:
    def __init__(self, engine):
        global alive  # noqa: PLW0603
        alive += 1
        self._engine = engine
        self._addresses = {}
        compute = weakref.WeakMethod(self._compute)  # no cycle: it goes when its last holder does
        self._run = _HOST_FUNCTION(lambda data: compute()())

    def __del__(self):
        global alive  # noqa: PLW0603
        alive -= 1
        # the context that it lives in must still be there
        assert _libcuda.fake_live(6) == 1, "the primary context went before TensorRT's objects"

    def set_tensor_address(self, name, address):
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream):
        _libcuda.fake_capturable(int(capturable))
        return _libcuda.cuLaunchHostFunc(stream, self._run, None) == 0

    def _array(self, name):
        tensor = self._engine._tensor(name)
        dtype = nptype(self._engine.get_tensor_dtype(name))
        size = math.prod(tensor.shape) * dtype.itemsize
        memory = (ctypes.c_uint8 * size).from_address(self._addresses[name])
        return np.frombuffer(memory, dtype).reshape(tensor.shape)

    def _compute(self):
        session = self._engine.session
        feeds = {tensor.name: self._array(tensor.name) for tensor in session.get_inputs()}
        actions = session.run(None, feeds)[0]
        np.copyto(self._array("actions"), actions + np.float32(added_error))
