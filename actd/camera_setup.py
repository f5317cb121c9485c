"""Cameras mapped by looking: an image of each that is plugged in, beside the training's first.

Images are taken through the same code as the daemon's. A camera that gives none is said with the
reason and stops nothing. Raises RecordingError for the dataset, UsageError for a place that cannot
be written.
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from actd.cameras.config import CameraConfig, OpenCVConfig, ZmqConfig
from actd.cameras.fitting import fitted
from actd.cameras.listing import ConnectedCamera, connected_cameras
from actd.cameras.make import make_camera
from actd.cameras.match import LEAST_AGREEING, Choice, Movement, choose, compare, view_of
from actd.config.writing import camera_line
from actd.errors import CameraError, RecordingError, unwritable

Image = NDArray[np.uint8]

_PANEL_PX = 400
_LINE_PX = 17
_GAP_PX = 8
# Less than this is within what a compressed image and a lens tell.
_STILL_PX, _STILL_DEGREES, _STILL_PERCENT = 2.0, 0.3, 1.0
_UPSIDE_DOWN_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Picture:
    """What one camera showed: an RGB image, or None and the `problem`."""

    camera: ConnectedCamera
    image: Image | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class TrainedCamera:
    """A camera of a dataset, with the first image of its first episode."""

    name: str
    image: Image
    fps: float

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.image.shape[1], self.image.shape[0]


@dataclass(frozen=True, slots=True)
class CameraMatch:
    """A trained camera and the source that shows the same, as far as that can be told."""

    trained: TrainedCamera
    picture: Picture | None = None
    choice: Choice | None = None
    config: CameraConfig | None = None


def trained_cameras(dataset: Path) -> list[TrainedCamera]:
    """The colour cameras of a LeRobotDataset. Raises RecordingError."""
    from actd.datasets import open_dataset

    opened = open_dataset(dataset)
    if not opened.cameras or not opened.episodes:
        raise RecordingError(f"{dataset}: has no images; give a dataset with cameras")
    row = next(iter(opened.frames(opened.episodes[0], [0])))
    return [
        TrainedCamera(key.removeprefix("observation.images."), row[key], opened.fps)
        for key in opened.cameras
    ]


def take_pictures(
    cameras: Sequence[ConnectedCamera], like: TrainedCamera | None = None
) -> list[Picture]:
    """An image of each camera in turn, of the size and rate of `like` where it has them."""
    return [_take(camera, like) for camera in cameras]


def match_cameras(
    trained: Sequence[TrainedCamera], pictures: Sequence[Picture]
) -> list[CameraMatch]:
    """For each trained camera the picture that shows the same scene, if one does."""
    images = [(index, p.image) for index, p in enumerate(pictures) if p.image is not None]
    likenesses = {}
    for camera in trained:
        first = view_of(camera.image)
        for index, image in images:
            likenesses[camera.name, index] = compare(first, view_of(image, camera.size))
    choices = choose(likenesses)
    return [_match(camera, choices.get(camera.name), pictures) for camera in trained]


def connected_matches(dataset: Path) -> list[CameraMatch]:
    """What is plugged in, matched with the cameras of a dataset. Raises RecordingError."""
    trained = trained_cameras(dataset)
    pictures = take_pictures(connected_cameras().usable, trained[0])
    return match_cameras(trained, pictures)


def camera_lines(
    sizes: Mapping[str, tuple[int, ...]], matches: Sequence[CameraMatch]
) -> Iterator[str]:
    """Lines of the section `cameras` for a policy's cameras, by their (height, width, ...).

    What was not matched, or not by features, is marked `check:`.
    """
    by_name = {match.trained.name: match for match in matches}
    taken = {os.path.realpath(match.config.path) for match in matches if match.config}
    # The other nodes of a webcam are not its images.
    nodes = (node for n in count(0, 2) if os.path.realpath(node := f"/dev/video{n}") not in taken)
    for name, (height, width, *_) in sizes.items():
        match = by_name.get(name)
        if match is not None and match.config is not None and match.choice is not None:
            mark = "" if match.choice.by == "features" else "check: "
            yield f"{camera_line(name, match.config)}  # {mark}{match_words(match)}"
            continue
        guess = OpenCVConfig(index_or_path=next(nodes), width=width, height=height, fps=30)
        yield f"{camera_line(name, guess)}  # check: which device (`actd cameras`)"


def served_camera_lines(sizes: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    """The same for images that come from `actd drive --cameras=robot`.

    A robot of LeRobot has its cameras by the names that its data set has them by.
    """
    for name, (height, width, *_) in sizes.items():
        camera = ZmqConfig(
            type="zmq",
            server_address="127.0.0.1",
            camera_name=name,
            width=width,
            height=height,
            detect_freeze=True,
        )
        yield camera_line(name, camera)


def match_words(match: CameraMatch) -> str:
    """What is known of a match, in a line."""
    if match.choice is None or match.picture is None:
        return "no camera shows what this one showed in training"
    likeness = match.choice.likeness
    if likeness.movement is not None:
        sure = "" if match.choice.by == "features" else "the only camera left; "
        return sure + movement_words(likeness.movement)
    how = "looks alike" if match.choice.by == "looks" else "the only camera left"
    return (
        f"{how} (correlation {likeness.correlation:.2f}); not enough features to say whether it "
        f"moved (fewer than {LEAST_AGREEING} agree)"
    )


def movement_words(movement: Movement) -> str:
    """How far a mount has moved, and how many features say so."""
    shifts = (
        (movement.right_px, _STILL_PX, "{:.0f} px right", "{:.0f} px left"),
        (movement.down_px, _STILL_PX, "{:.0f} px down", "{:.0f} px up"),
        (
            movement.degrees,
            _STILL_DEGREES,
            "{:.1f} degrees clockwise",
            "{:.1f} degrees counterclockwise",
        ),
        (100 * (movement.scale - 1), _STILL_PERCENT, "{:.0f} % larger", "{:.0f} % smaller"),
    )
    parts = [
        (more if value > 0 else less).format(abs(value))
        for value, still, more, less in shifts
        if abs(value) >= still
    ]
    what = f"its image has moved: {', '.join(parts)}" if parts else "as in training"
    return f"{what} ({movement.agreeing} of {movement.shared} features agree)"


def save_pictures(pictures: Sequence[Picture], folder: Path) -> Iterator[Path]:
    """Write each image under a strip that says what it is of. Raises UsageError."""
    for picture in pictures:
        if picture.image is not None:
            path = folder / f"{_file_name(picture.camera)}.png"
            yield _write(path, _captioned(picture.image, _title(picture.camera)))


def save_sheet(matches: Sequence[CameraMatch], pictures: Sequence[Picture], folder: Path) -> Path:
    """Write match.png: in each row the training's image, the camera's, and both in one.

    Cameras that match nothing are below. Raises UsageError.
    """
    rows = [_row(match) for match in matches]
    shown = {match.choice.source for match in matches if match.choice}
    rows += [
        [_captioned(_panel(picture.image), f"not matched: {_title(picture.camera)}")]
        for index, picture in enumerate(pictures)
        if picture.image is not None and index not in shown
    ]
    return _write(folder / "match.png", _stacked(rows))


def _take(camera: ConnectedCamera, like: TrainedCamera | None) -> Picture:
    problem = f"{camera.label}: {camera.problem}"
    if camera.config is None or camera.problem:
        return Picture(camera, None, problem)
    configs = [camera.config]
    if like is not None and (config := fitted(camera, like.size, like.fps)) is not None:
        configs.insert(0, config)
    for config in configs:
        try:
            reader = make_camera(camera.name, config)
            with closing(reader):
                reader.open()
                return Picture(camera, reader.read().data)
        except CameraError as error:
            problem = str(error)
    return Picture(camera, None, problem)


def _match(
    trained: TrainedCamera, choice: Choice | None, pictures: Sequence[Picture]
) -> CameraMatch:
    if choice is None:
        return CameraMatch(trained)
    picture = pictures[choice.source]
    config = fitted(picture.camera, trained.size, trained.fps)
    movement = choice.likeness.movement
    if config is None or picture.image is None or movement is None:
        return CameraMatch(trained, picture, choice, config)
    if abs(abs(movement.degrees) - 180) < _UPSIDE_DOWN_WITHIN:
        upright = np.ascontiguousarray(picture.image[::-1, ::-1])
        likeness = compare(view_of(trained.image), view_of(upright, trained.size))
        picture = replace(picture, image=upright)
        config = config.model_copy(update={"rotation": 180})
        choice = choice._replace(likeness=likeness)
    return CameraMatch(trained, picture, choice, config)


def _title(camera: ConnectedCamera) -> str:
    return " - ".join(filter(None, [camera.name, camera.label, camera.port]))


def _file_name(camera: ConnectedCamera) -> str:
    """Of the lasting path, so that two cameras of one model do not share it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", camera.label.rpartition("/")[2])[:120]


def _row(match: CameraMatch) -> list[Image]:
    trained, name = match.trained.image, match.trained.name
    panels = [_captioned(_panel(trained), f"{name}: in training")]
    if match.picture is None or match.picture.image is None:
        return [*panels, _captioned(_panel(np.zeros_like(trained)), "no camera shows this")]
    live = np.asarray(
        cv2.resize(match.picture.image, match.trained.size, interpolation=cv2.INTER_AREA), np.uint8
    )
    both = np.asarray(cv2.addWeighted(trained, 0.5, live, 0.5, 0), np.uint8)
    return [
        *panels,
        _captioned(_panel(live), f"{name}: {_title(match.picture.camera)}"),
        _captioned(_panel(both), f"{name}: {match_words(match)}"),
    ]


def _panel(image: Image) -> Image:
    height = max(1, round(image.shape[0] * _PANEL_PX / image.shape[1]))
    panel = cv2.resize(image, (_PANEL_PX, height), interpolation=cv2.INTER_AREA)
    return np.asarray(panel, np.uint8)


def _captioned(image: Image, caption: str) -> Image:
    """`image` under a strip of text, which is broken into lines that fit."""
    letters = max(8, (image.shape[1] - 12) // 8)
    text = caption.encode("ascii", "replace").decode()
    lines = textwrap.wrap(text, letters, break_on_hyphens=False) or [""]
    strip = np.full((_LINE_PX * len(lines) + 8, image.shape[1], 3), 255, np.uint8)
    for number, line in enumerate(lines, 1):
        place = (6, _LINE_PX * number)
        cv2.putText(strip, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([strip, image])


def _stacked(rows: Sequence[Sequence[Image]]) -> Image:
    """Rows of images of different heights, on white."""
    width = max(sum(image.shape[1] + _GAP_PX for image in row) for row in rows)
    sheet = np.full((sum(_height(row) + _GAP_PX for row in rows), width, 3), 255, np.uint8)
    top = 0
    for row in rows:
        left, foot = 0, top + _height(row)
        for image in row:  # the images of a row stand on one line, whatever is written above
            sheet[foot - image.shape[0] : foot, left : left + image.shape[1]] = image
            left += image.shape[1] + _GAP_PX
        top = foot + _GAP_PX
    return sheet


def _height(row: Sequence[Image]) -> int:
    return max(len(image) for image in row)


def _write(path: Path, image: Image) -> Path:
    """Write an RGB image as PNG."""
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.tobytes() if done else b"")
    except OSError as error:
        raise unwritable(path, error, "choose another folder") from None
    return path
