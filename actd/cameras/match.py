"""Whether two images show one scene, and how far the camera moved between them. Pure.

SIFT features that both images have, and the shift, turn and scale that most of them agree on
(RANSAC), are proof of one scene and measure the mount. Where there are too few, only how alike the
images look as a whole is known, which proves nothing and measures nothing.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

LEAST_AGREEING = 15
"""As many features must agree on a movement, and the share below of those that both images have: of
two scenes with the same lettering, a quarter may."""

_AGREEING_SHARE = 0.4
_MOST_FEATURES = 1500
# A feature counts where its best partner is that much nearer than the second best.
_RATIO = 0.75
_WITHIN_PX = 3.0
_PLAUSIBLE_SCALE = (0.5, 2.0)
_THUMBNAIL = (32, 24)
_NO_MASK: Any = None
_ALIKE = 0.5
_CLEARER_BY = 0.15
_CLEARER_TIMES = 2

C = TypeVar("C", bound=Hashable)
S = TypeVar("S", bound=Hashable)


class View(NamedTuple):
    """What is compared of an image. `points`: (n, 2) pixels; `thumbnail`: zero mean, unit norm."""

    size: tuple[int, int]
    points: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    thumbnail: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Movement:
    """Where the second image shows what the first has at its centre, in pixels of the first.

    `degrees` clockwise. `agreeing` of the `shared` features agree on it.
    """

    right_px: float
    down_px: float
    degrees: float
    scale: float
    agreeing: int
    shared: int


class Likeness(NamedTuple):
    """`movement` is None where too few features agree; `correlation` of the whole, -1 to 1."""

    movement: Movement | None
    correlation: float


class Choice(NamedTuple):
    """Which source a camera is, and by what: `features`, `looks`, or `rest`, the only one left."""

    source: Any
    by: str
    likeness: Likeness


def view_of(image: Image, size: tuple[int, int] | None = None) -> View:
    """Look at an RGB image, scaled to `size` (width, height) if given."""
    if size is not None and (image.shape[1], image.shape[0]) != size:
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    detected: Any = cv2.SIFT.create(_MOST_FEATURES).detectAndCompute(grey, _NO_MASK)
    points = np.array([point.pt for point in detected[0]], np.float32).reshape(-1, 2)
    descriptors = np.empty((0, 128), np.float32) if detected[1] is None else detected[1]
    small = cv2.resize(image, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float64)
    small -= small.mean()
    norm = float(np.linalg.norm(small))
    return View(
        (image.shape[1], image.shape[0]), points, descriptors, small / norm if norm else small
    )


def compare(first: View, second: View) -> Likeness:
    """How alike two views are, and what moved from the first to the second."""
    correlation = float((first.thumbnail * second.thumbnail).sum())
    return Likeness(_movement(first, second), correlation)


def choose(likenesses: Mapping[tuple[C, S], Likeness]) -> dict[C, Choice]:
    """A source for each camera, the surest first, none twice; cameras of which nothing is known
    are left out. Takes the likeness of every pair of a camera and a source.
    """
    cameras = list(dict.fromkeys(camera for camera, _ in likenesses))
    sources = list(dict.fromkeys(source for _, source in likenesses))
    chosen: dict[C, Choice] = {}
    for pair in sorted(likenesses, key=lambda pair: _score(likenesses[pair]), reverse=True):
        camera, source = pair
        if camera in chosen or any(choice.source == source for choice in chosen.values()):
            continue
        others = (likenesses[one] for one in likenesses if _is_rival(one, pair))
        if by := _evidence(likenesses[pair], others):
            chosen[camera] = Choice(source, by, likenesses[pair])
    taken = {choice.source for choice in chosen.values()}
    left = [source for source in sources if source not in taken]
    undecided = [camera for camera in cameras if camera not in chosen]
    if len(left) == len(undecided) == 1:
        likeness = likenesses[undecided[0], left[0]]
        chosen[undecided[0]] = Choice(left[0], "rest", likeness)
    return {camera: chosen[camera] for camera in cameras if camera in chosen}


def _is_rival(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    """Whether two pairs cannot both be right."""
    return one != other and (one[0] == other[0] or one[1] == other[1])


def _score(likeness: Likeness) -> tuple[int, float]:
    return (likeness.movement.agreeing if likeness.movement else 0, likeness.correlation)


def _evidence(likeness: Likeness, rivals: Iterable[Likeness]) -> str:
    """What tells a pair from its rivals, or nothing."""
    rivals = list(rivals)
    agreeing, correlation = _score(likeness)
    others = [_score(rival) for rival in rivals]
    if agreeing and agreeing >= _CLEARER_TIMES * max((score[0] for score in others), default=0):
        return "features"
    next_best = max((score[1] for score in others), default=-1.0)
    if not agreeing and correlation >= max(_ALIKE, next_best + _CLEARER_BY):
        return "looks"
    return ""


def _movement(first: View, second: View) -> Movement | None:
    if min(len(first.points), len(second.points)) < LEAST_AGREEING:
        return None
    pairs = cv2.BFMatcher().knnMatch(first.descriptors, second.descriptors, k=2)
    shared = [best for best, other in pairs if best.distance < _RATIO * other.distance]
    if len(shared) < LEAST_AGREEING:
        return None
    before = first.points[[match.queryIdx for match in shared]]
    after = second.points[[match.trainIdx for match in shared]]
    cv2.setRNGSeed(0)  # the same images give the same answer
    matrix, inliers = cv2.estimateAffinePartial2D(
        before, after, method=cv2.RANSAC, ransacReprojThreshold=_WITHIN_PX, confidence=0.999
    )
    # Features of one place, found at several scales, are one.
    agreeing = 0 if matrix is None else _places(before[inliers.ravel() > 0])
    if agreeing < max(LEAST_AGREEING, _AGREEING_SHARE * _places(before)):
        return None
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    if not _PLAUSIBLE_SCALE[0] < scale < _PLAUSIBLE_SCALE[1]:
        return None
    centre = np.array([first.size[0] / 2, first.size[1] / 2])
    shift = matrix[:, :2] @ centre + matrix[:, 2] - centre
    degrees = math.degrees(math.atan2(matrix[1, 0], matrix[0, 0]))
    return Movement(
        float(shift[0]), float(shift[1]), degrees, scale, agreeing, max(_places(before), agreeing)
    )


def _places(points: NDArray[np.float32]) -> int:
    return len(np.unique(points.round(), axis=0))
