"""What a deployment says of one camera, in LeRobot's syntax plus a few keys of our own.

Owns the schema and nothing else: no device is touched here. Gives plain frozen data, of the
class that the camera's `type` names; a value that cannot be right is a pydantic ValidationError
whose messages say what is allowed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    ModelWrapValidatorHandler,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from actd.cameras.address import check_url
from actd.cameras.plugins import plugin_names

SourceKind = Literal["device", "file", "url", "realsense", "plugin"]

# LeRobot's command line takes the names of its enumerations, and its files the values.
_LEROBOT_NAMES: Mapping[str, str | int] = {
    **{"RGB": "rgb", "BGR": "bgr"},
    **{"NO_ROTATION": 0, "ROTATE_90": 90, "ROTATE_180": 180, "ROTATE_270": 270},
    **{"ANY": 0, "V4L2": 200},
}

Pixels = Annotated[int, Field(gt=0, le=16384)]


class CameraConfig(BaseModel):
    """What every type of camera has. `width`, `height`, `fps` left out: what the source gives.

    As in LeRobot, width and height are of the image after rotation. `resize` comes last and
    decides the size of the frames that `read` gives. Validating gives the class of the `type`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: str = Field("opencv", description="which code reads the camera")
    width: Pixels | None = Field(
        default=None, description="of the image after rotation; default: what the source gives"
    )
    height: Pixels | None = Field(
        default=None, description="of the image after rotation; default: what the source gives"
    )
    fps: float | None = Field(
        default=None, gt=0, le=1000, description="frames per second; default: what the source gives"
    )
    rotation: Literal[0, 90, 180, 270, -90] = Field(
        default=0, description="clockwise degrees that stand the image upright"
    )
    color_mode: Literal["rgb", "bgr"] = Field(
        default="rgb", description="order of the colours that the policy was trained on"
    )
    warmup_s: float = Field(
        default=1.0, ge=0, le=60, description="time a device gets to settle its exposure"
    )
    resize: tuple[Pixels, Pixels] | None = Field(
        default=None, description="[width, height] to scale every frame to, by area"
    )
    timeout_s: float = Field(
        default=2.0, gt=0, le=60, description="longest wait for a connection or a frame"
    )
    latency_ms: float = Field(
        default=0.0,
        ge=0,
        le=10_000,
        description="from light to time stamp: images are dated this much earlier; tens for USB, "
        "hundreds for RTSP. See observation.image_age_ms, which is what it was in training",
    )
    detect_freeze: bool | None = Field(
        default=None,
        description="whether an image that never changes counts as a broken camera; default: for "
        "devices, whose noise never repeats, not for files and URLs, where a still scene may",
    )

    @model_validator(mode="wrap")
    @classmethod
    def _of_its_type(cls, data: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        """One mistake for a type that is not known, instead of one for each of its keys."""
        if cls is CameraConfig and not isinstance(data, CameraConfig):
            return camera_model(data).model_validate(data)
        return handler(data)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """In the schema, a camera is one of its types."""
        if cls is not CameraConfig:
            return handler(core_schema)
        kinds: list[type[CameraConfig]] = [*_MODELS.values(), PluginConfig]
        return {"anyOf": [handler(kind.__pydantic_core_schema__) for kind in kinds]}

    @field_validator("color_mode", "rotation", mode="before")
    @classmethod
    def _value_of_name(cls, value: Any) -> Any:
        return _LEROBOT_NAMES.get(str(value).upper(), value)

    @property
    def kind(self) -> SourceKind:
        """Where frames come from."""
        raise NotImplementedError

    @property
    def path(self) -> str:
        """The source, as it is opened and as messages call it: what shows it redacts it."""
        raise NotImplementedError

    @property
    def source(self) -> str:
        """What two cameras with the same source have in common."""
        return f"{self.kind} {self.path}"

    @property
    def is_device(self) -> bool:
        """Whether it is a device of this computer, which serves one program at a time."""
        return self.kind not in ("file", "url")

    @property
    def detects_freeze(self) -> bool:
        """`detect_freeze`, or its default for this kind of source."""
        return self.is_device if self.detect_freeze is None else self.detect_freeze

    @property
    def sensor_size(self) -> tuple[int | None, int | None]:
        """Width and height before rotation."""
        sideways = self.rotation in {90, 270, -90}
        return (self.height, self.width) if sideways else (self.width, self.height)


class OpenCVConfig(CameraConfig):
    """A V4L2 device, a video file, or a URL."""

    type: Literal["opencv"] = "opencv"
    index_or_path: int | str = Field(
        repr=False,  # a URL may hold a password
        description="device number or /dev path, video file, or rtsp:// or http:// URL",
    )
    fourcc: str | None = Field(default=None, description="pixel format of a device, such as MJPG")
    backend: Literal[0, 200] = Field(
        default=0, description="LeRobot's choice of OpenCV's V4L2, which devices have anyway"
    )
    loop: bool = Field(default=True, description="begin a video file again at its end")

    @field_validator("backend", mode="before")
    @classmethod
    def _backend_of_name(cls, value: Any) -> Any:
        return _LEROBOT_NAMES.get(str(value).upper(), value)

    @field_validator("index_or_path")
    @classmethod
    def _known_source(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 0:
            raise ValueError(f"{value} is no device number; use 0 or more")
        if isinstance(value, str) and not value.strip():
            raise ValueError("empty; give a device number, a path or a URL")
        check_url(str(value))
        return value

    @field_validator("fourcc")
    @classmethod
    def _four_characters(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[\x20-\x7e]{4}", value):
            raise ValueError(f"{value!r} is no pixel format; give four characters, such as MJPG")
        return value

    @property
    def kind(self) -> SourceKind:
        """Where frames come from; a string of digits is a device number."""
        text = str(self.index_or_path)
        if text.isdecimal() or text.startswith("/dev/"):
            return "device"
        return "url" if "://" in text else "file"

    @property
    def path(self) -> str:
        """What to open: a device number becomes its /dev path, `~` the home folder.

        A URL is whole, with its password: what shows it to anyone redacts it.
        """
        text = str(self.index_or_path)
        if text.isdecimal():
            return f"/dev/video{int(text)}"
        return str(Path(text).expanduser()) if self.kind == "file" else text


class RealSenseConfig(CameraConfig):
    """The colour images of an Intel RealSense, by its own library."""

    type: Literal["intelrealsense"]
    serial_number_or_name: str = Field(
        min_length=1, description="its serial number in quotes, or its name where there is one such"
    )
    color_format: Literal["rgb8", "bgr8"] = Field(
        default="rgb8", description="LeRobot's choice; either gives the same images here"
    )
    use_rgb: bool = Field(default=True, description="LeRobot's key; only true works here")
    use_depth: bool = Field(default=False, description="LeRobot's key; only false works here")
    exposure: float | None = Field(default=None, gt=0, description="in us; default: automatic")
    gain: float | None = Field(default=None, ge=0, description="default: automatic")
    white_balance: float | None = Field(default=None, gt=0, description="in K; default: automatic")

    @model_validator(mode="after")
    def _colour_only(self) -> RealSenseConfig:
        if self.use_depth or not self.use_rgb:
            raise ValueError("only its colour images are read; set use_rgb: true, use_depth: false")
        return self

    @property
    def kind(self) -> SourceKind:
        """A device of its own library."""
        return "realsense"

    @property
    def path(self) -> str:
        """Its serial number or name."""
        return f"RealSense {self.serial_number_or_name}"


class ZmqConfig(CameraConfig):
    """One camera of LeRobot's image server: JPEGs in JSON, over ZeroMQ."""

    type: Literal["zmq"]
    server_address: str = Field(
        min_length=1,
        repr=False,  # what is no address may hold a password
        description="its host name or address",
    )
    port: int = Field(default=5555, ge=1, le=65535, description="the server's port")
    camera_name: str | None = Field(
        default=None, description="which of the server's cameras; default: the only one it has"
    )
    swapped_colors: bool = Field(
        default=True,
        description="whether red and blue change places in its JPEGs, as LeRobot's server does it",
    )

    @model_validator(mode="before")
    @classmethod
    def _lerobots_timeout(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or "timeout_ms" not in data:
            return data
        given = data["timeout_ms"]
        is_number = isinstance(given, (int, float)) and not isinstance(given, bool)
        if "timeout_s" in data or not is_number or not 0 < given <= 60_000:
            raise ValueError(
                f"timeout_ms: found {given!r:.40}; give timeout_s, in seconds, instead"
            )
        rest = {key: value for key, value in data.items() if key != "timeout_ms"}
        return {**rest, "timeout_s": given / 1000}

    @field_validator("server_address")
    @classmethod
    def _host_only(cls, value: str) -> str:
        if re.search(r"[\s/@]", value):
            raise ValueError("not a host; give its name or address alone, and its port as port")
        return value

    @property
    def kind(self) -> SourceKind:
        """A server."""
        return "url"

    @property
    def path(self) -> str:
        """The server's address and its camera."""
        return f"tcp://{self.server_address}:{self.port}/{self.camera_name or ''}"


class PluginConfig(CameraConfig):
    """A camera that another package reads: see docs/cameras.md."""

    options: dict[str, JsonValue] = Field(
        default_factory=dict,
        repr=False,
        description="what the plugin wants to know: see its own documentation",
    )

    @property
    def kind(self) -> SourceKind:
        """A device, as far as is known."""
        return "plugin"

    @property
    def path(self) -> str:
        """The plugin's name. Its options may hold a password."""
        return self.type

    @property
    def source(self) -> str:
        """The plugin with its options."""
        return f"{self.type} {json.dumps(self.options, sort_keys=True)}"


_MODELS: Mapping[str, type[CameraConfig]] = {
    "opencv": OpenCVConfig,
    "intelrealsense": RealSenseConfig,
    "zmq": ZmqConfig,
}


def camera_model(data: Any) -> type[CameraConfig]:
    """The class for a camera's section, by its `type`. Raises ValueError for one not known."""
    kind = str(data.get("type", "opencv")) if isinstance(data, Mapping) else "opencv"
    if kind in _MODELS:
        return _MODELS[kind]
    plugins = plugin_names()
    if kind in plugins:
        return PluginConfig
    known = ", ".join([*_MODELS, *plugins])
    raise ValueError(
        f"type: {kind!r:.40} is not known, only {known}; install the package that reads such "
        "cameras, or give a /dev path, a video file or a URL: type: opencv, index_or_path: ..."
    )
