"""High dynamic range histograms of nanoseconds, in HdrHistogram's own formats.

What is encoded here any HDR tool decodes, plots and adds to others: several runs, several
robots. Raises LinkError for a text that is no such histogram.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from hdrh.histogram import HdrHistogram

from actd.errors import LinkError, UsageError, unwritable

_HIGHEST_NS = 60_000_000_000
# One percent: then the longest encoding is a few kilobytes, whatever was counted.
_DIGITS = 2
# A file is named after it.
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Histogram:
    """Counts of values from 1 ns to 60 s, each to one percent."""

    def __init__(self) -> None:
        self._values = HdrHistogram(1, _HIGHEST_NS, _DIGITS)

    def add(self, value_ns: int) -> None:
        """Count one value, clamped to the range."""
        self._values.record_value(min(max(1, value_ns), _HIGHEST_NS))

    def merge(self, other: Histogram) -> None:
        """Count what `other` counted too."""
        if other._values.get_total_count():
            self._values.add(other._values)

    def percentiles(self, unit_ns: float) -> dict[str, float]:
        """p50, p99, p999 and max in `unit_ns`; zeros while empty."""
        if not self._values.get_total_count():
            return {"p50": 0.0, "p99": 0.0, "p999": 0.0, "max": 0.0}
        at = self._values.get_value_at_percentile
        values = {"p50": at(50.0), "p99": at(99.0), "p999": at(99.9), "max": at(100.0)}
        return {name: round(value / unit_ns, 3) for name, value in values.items()}

    def encode(self) -> str:
        """HdrHistogram's V2 compressed encoding, in base64."""
        encoded: bytes = self._values.encode()
        return encoded.decode()


def write_hgrm(folder: Path, encoded: Mapping[str, str]) -> list[Path]:
    """Write the percentile distribution of each histogram, in us, to `folder`/<name>.hgrm.

    That is the file that HdrHistogram's plotters read. Raises UsageError, and writes nothing,
    where one exists already or the folder cannot be had, LinkError where one is no histogram.
    """
    files = {folder / f"{name}.hgrm": _decode(name, text) for name, text in encoded.items()}
    for file in files:
        if file.exists():
            raise UsageError(f"{file}: exists already; choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, histogram in files.items():
            with file.open("xb") as out:
                histogram.output_percentile_distribution(out, 1e3)
    except OSError as error:
        raise unwritable(folder, error, "choose another") from None
    return list(files)


def _decode(name: str, text: str) -> HdrHistogram:
    if not _NAME.fullmatch(name):
        raise LinkError(f"histograms: found the name {name!r:.40}: not a daemon of this version")
    try:
        return HdrHistogram.decode(text.encode())
    except Exception as error:  # noqa: BLE001  hdrh's errors share no base class
        raise LinkError(f"histograms.{name}: not an HdrHistogram: {error}") from None
