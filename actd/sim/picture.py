"""What people see of a run: the arms, what the policy sees of them, and how the run stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actd.sim.record import Image

HEIGHT, WIDTH = 480, 640
INSET_WIDTH, MARGIN, FRAME_GREY = 150, 8, 230
BAND_PX = 34
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
# RGB: what the arms do shows from afar.
COLOURS = {
    "IDLE": (170, 170, 170),
    "ARMED": (90, 220, 110),
    "HOLD": (250, 200, 70),
    "FAULT": (255, 90, 80),
    "STOP": (255, 90, 80),
}


def compose(view: Image, seen: Mapping[str, Image], mode: str, words: str) -> Image:
    """The view (HEIGHT, WIDTH, 3) with each camera's image as an inset, the mode and `words`."""
    import cv2

    picture: Image = view.copy()
    right = WIDTH - MARGIN
    for name, image in reversed(list(seen.items())):
        height = round(INSET_WIDTH * image.shape[0] / image.shape[1])
        inset: Any = cv2.resize(image, (INSET_WIDTH, height), interpolation=cv2.INTER_AREA)
        inset[[0, -1]], inset[:, [0, -1]] = FRAME_GREY, FRAME_GREY
        _write(inset, name, (6, 15), WHITE, 0.4)
        bottom = HEIGHT - MARGIN
        picture[bottom - height : bottom, right - INSET_WIDTH : right] = inset
        right -= INSET_WIDTH + MARGIN
    picture[:BAND_PX] //= 3
    _write(picture, mode, (MARGIN, 23), COLOURS.get(mode, WHITE), 0.65)
    _write(picture, words, (105, 23), WHITE, 0.6)
    return picture


def _write(
    image: Image, text: str, place: tuple[int, int], colour: tuple[int, int, int], size: float
) -> None:
    import cv2

    for offset, paint in ((1, BLACK), (0, colour)):  # a shadow
        x, y = place[0] + offset, place[1] + offset
        cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, paint, 1, cv2.LINE_AA)
