"""The pictures of a run on its page: in step with the ticks, and thinned far from the moment."""

from __future__ import annotations

import re
from pathlib import Path

from actd.control.state import Event
from actd.flightlog.pictures import Moment, PictureWriter
from actd.flightlog.reader import Flight, read_flight
from actd.replay.page import flight_page
from tests.report.flights import CAMERAS, fly, record
from tests.report.test_report import Outline

MS = 1_000_000


def jpeg(text: str) -> bytes:
    return text.encode() + b"\xff\xd9"


def photographed(folder: Path, moments: int = 1) -> Flight:
    """A flight of ten seconds with a picture every 100 ms, the second camera's from 5 s on."""
    run = record(fly(10.0, commands={50: Event.ARM, 400: Event.HOLD}), folder)
    flight = read_flight(run)
    start_ns = int(flight.ticks["due_ns"][0])
    writer = PictureWriter(flight.folder, 60_000 * MS, 1 << 30)
    writer.begin()
    for tenth in range(100):
        for place, camera in enumerate(CAMERAS):
            if place == 0 or tenth >= 50:
                t_ns = start_ns + (100 * tenth + 10) * MS
                writer.add(camera, t_ns, jpeg(f"{camera} {tenth}"))
    for k in range(moments):
        tick = flight.ticks[400 - k]
        seen = Moment("fault", "<b>a gap</b>", int(tick["number"]), int(tick["due_ns"]), 1.8e9 + k)
        writer.save(seen)
    writer.clear()
    return flight


def test_every_picture_stands_beside_the_tick_of_its_time(tmp_path: Path) -> None:
    flight = photographed(tmp_path)
    text = flight_page(flight)
    outline = Outline(text)
    assert outline.headings[0] == "FAULT at 8.00 s"
    assert "<b>a gap" not in text
    instants = re.findall(r"<p><b>([+-]\d+\.\d\d) s</b> tick (\d+), (\w+),", text)
    first = int(flight.ticks["number"][0])
    for relative, number, mode in instants:
        # A picture of 10 ms after a due time is of that tick.
        due_s = (int(number) - first) * 0.02
        assert float(relative) + 8.0 - due_s == 0.01 or abs(float(relative) + 7.99 - due_s) < 1e-6
        assert (mode == "ARMED") == (1.0 <= due_s < 8.0)
    times = [float(relative) for relative, _, _ in instants]
    assert sum(abs(each) <= 3 for each in times) == 50
    assert sum(each < -3 for each in times) == 5
    (chosen,) = re.findall(r'id="(f1-\d+)" checked>', text)
    place = int(chosen.rpartition("-")[2]) - 1
    assert max(each for each in times if each <= 0) == times[place]
    assert text.count("cam_wrist: no picture") == sum(each < -2.99 for each in times)
    assert all(
        address.startswith(("#", "data:image/jpeg;base64,")) for address in outline.addresses
    )


def test_the_newest_three_are_films_and_the_others_are_named(tmp_path: Path) -> None:
    flight = photographed(tmp_path, moments=5)
    damaged = flight.folder / "pictures" / "20200101T000000Z-order-1.zip"
    damaged.write_bytes(b"PK")
    text = flight_page(flight)
    headings = Outline(text).headings
    assert headings[:4] == [f"FAULT at {s} s" for s in ("7.92", "7.94", "7.96")] + [
        "Further pictures"
    ]
    assert f"{damaged}: no moment of pictures" in text
    assert text.count("not shown") == 2
