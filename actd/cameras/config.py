"""What a deployment says of one camera, in LeRobot's syntax plus a few keys of our own.

Owns the schema and nothing else: no device is touched here. Gives plain frozen data; a value
that cannot be right is a pydantic ValidationError whose messages say what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

SourceKind = Literal["device", "file", "url"]

URL_SCHEMES = ("http", "https", "rtsp", "rtsps")

# White space, the beginning of a fragment, which no server is sent, and a % that encodes nothing.
_NOT_IN_A_URL = re.compile(r"\s|#|%(?![0-9A-Fa-f]{2})")

# Instead of LeRobot's other types of camera.
_OTHER_TYPES = {
    "intelrealsense": "give the node of its colour images: type: opencv, index_or_path: "
    "/dev/v4l/by-id/... (the one that offers YUYV in v4l2-ctl --list-formats-ext)",
    "zmq": "let its server give MJPEG or RTSP: type: opencv, index_or_path: http://HOST:PORT/PATH",
}
_ANY_OTHER_TYPE = "give its /dev path, a video file or a URL: type: opencv, index_or_path: ..."
# LeRobot's command line takes the names of its enumerations, and its files the values.
_LEROBOT_NAMES: Mapping[str, str | int] = {
    **{"RGB": "rgb", "BGR": "bgr"},
    **{"NO_ROTATION": 0, "ROTATE_90": 90, "ROTATE_180": 180, "ROTATE_270": 270},
    **{"ANY": 0, "V4L2": 200},
}

Pixels = Annotated[int, Field(gt=0, le=16384)]


class CameraConfig(BaseModel):
    """One camera. `width`, `height`, `fps` left out mean: what the source gives.

    As in LeRobot, width and height are of the image after rotation. `resize` comes last and
    decides the size of the frames that `read` gives.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["opencv"] = "opencv"
    index_or_path: int | str = Field(
        repr=False,  # a URL may hold a password
        description="device number or /dev path, video file, or rtsp:// or http:// URL",
    )
    width: Pixels | None = None
    height: Pixels | None = None
    fps: float | None = Field(default=None, gt=0, le=1000, description="frames per second")
    fourcc: str | None = Field(default=None, description="pixel format of a device, such as MJPG")
    rotation: Literal[0, 90, 180, 270, -90] = Field(
        default=0, description="clockwise degrees that stand the image upright"
    )
    color_mode: Literal["rgb", "bgr"] = Field(
        default="rgb", description="order of the colours that the policy was trained on"
    )
    backend: Literal[0, 200] = Field(
        default=0, description="LeRobot's choice of OpenCV's V4L2, which devices have anyway"
    )
    warmup_s: float = Field(
        default=1.0, ge=0, le=60, description="time a device gets to settle its exposure"
    )
    loop: bool = Field(default=True, description="begin a video file again at its end")
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

    @model_validator(mode="before")
    @classmethod
    def _known_type(cls, data: Any) -> Any:
        """Another type has other keys: one mistake, not one for each of them."""
        known = get_args(cls.model_fields["type"].annotation)
        kind = data.get("type", known[0]) if isinstance(data, Mapping) else known[0]
        if kind not in known:
            hint = _OTHER_TYPES.get(str(kind), _ANY_OTHER_TYPE)
            raise ValueError(f"type: {kind!r} is not read, only {', '.join(known)}; {hint}")
        return data

    @field_validator("color_mode", "rotation", "backend", mode="before")
    @classmethod
    def _value_of_name(cls, value: Any) -> Any:
        return _LEROBOT_NAMES.get(str(value).upper(), value)

    @field_validator("index_or_path")
    @classmethod
    def _known_source(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 0:
            raise ValueError(f"{value} is no device number; use 0 or more")
        if isinstance(value, str) and not value.strip():
            raise ValueError("empty; give a device number, a path or a URL")
        scheme, separator, rest = str(value).partition("://")
        if separator and scheme.lower() not in URL_SCHEMES:
            raise ValueError(f"{scheme}:// is not supported; use one of {_listed(URL_SCHEMES)}")
        if separator:
            _check_address(scheme, rest)
        elif ":" in str(value).partition("/")[0]:
            raise ValueError(
                f"not a URL: begin it with one of {_listed(URL_SCHEMES)}; or, for a file with a "
                "colon in its name, with ./"
            )
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
    def detects_freeze(self) -> bool:
        """`detect_freeze`, or its default for this kind of source."""
        return self.kind == "device" if self.detect_freeze is None else self.detect_freeze

    @property
    def path(self) -> str:
        """What to open: a device number becomes its /dev path, `~` the home folder.

        A URL is whole, with its password: what shows it to anyone redacts it.
        """
        text = str(self.index_or_path)
        if text.isdecimal():
            return f"/dev/video{int(text)}"
        return str(Path(text).expanduser()) if self.kind == "file" else text


def _check_address(scheme: str, rest: str) -> None:
    """Raise ValueError for a URL that can be read in two ways, or not at all.

    The message has nothing of the URL in it: which part is the password is what is not known.
    """
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    if rest.count("@") > min(1, authority.count("@")) or _NOT_IN_A_URL.search(rest):
        found = "a character that must not stand in a URL as it is"
    elif not _has_host(scheme, authority):
        found = "a URL without a host, or whose port is no number from 1 to 65535"
    else:
        return
    raise ValueError(
        f"{found}; write {scheme}://HOST:PORT/PATH in quotes, with USER:PASSWORD@ before HOST if "
        "there are any, and percent-encode what is special in them: @ as %40, # as %23, / as %2F, "
        "? as %3F, : as %3A, % as %25"
    )


def _has_host(scheme: str, authority: str) -> bool:
    try:
        address = urlsplit(f"{scheme}://{authority}")
        return bool(address.hostname) and address.port != 0
    except ValueError:
        return False


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"{name}://" for name in names)
