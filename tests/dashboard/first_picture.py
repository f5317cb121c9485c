"""How much the dashboard weighs, and how long a browser waits for its first picture.

`python -m tests.dashboard.first_picture http://127.0.0.1:9875/ [LOADS]` loads the page of a running
daemon again and again, without the browser's cache, in a headless Chromium, and says it in a line.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

from tests.chromium import Tab, opened

_WATCH = """
const look = () => {
  const seen = [...document.images].some((image) => image.naturalWidth > 0 && !image.hidden);
  if (seen) window.firstPictureMs = performance.now();
  else setTimeout(look, 1);
};
look();
"""
_WEIGHT = """
performance.getEntriesByType("resource")
  .filter((each) => /[.](js|css)$/.test(new URL(each.name).pathname))
  .concat(performance.getEntriesByType("navigation"))
  .reduce((sum, each) => sum + each.transferSize, 0)
"""


async def _load(tab: Tab, address: str) -> tuple[float, float]:
    """Load the page; ms from the navigation to the first picture, and bytes of the page."""
    await tab.call("Page.navigate", url="about:blank")
    await tab.call("Page.navigate", url=address)
    await tab.until("window.firstPictureMs > 0", "a picture")
    return await tab.value("window.firstPictureMs"), await tab.value(_WEIGHT)


async def measure(address: str, loads: int) -> list[tuple[float, float]]:
    """Of so many loads, the times and the weights."""
    with tempfile.TemporaryDirectory(prefix="first-picture-") as folder:
        async with opened(address, Path(folder)) as tab:
            await tab.call("Network.enable")
            await tab.call("Network.setCacheDisabled", cacheDisabled=True)
            await tab.call("Page.enable")
            await tab.call("Page.addScriptToEvaluateOnNewDocument", source=_WATCH)
            return [await _load(tab, address) for _ in range(loads)]


def main(address: str, loads: int = 30) -> None:
    """Write the outcome to stdout."""
    times, weights = zip(*asyncio.run(measure(address, loads)), strict=True)
    sys.stdout.write(
        f"page {max(weights) / 1000:.1f} kB; first picture after {statistics.median(times):.0f} ms "
        f"({min(times):.0f} to {max(times):.0f}, n = {len(times)})\n"
    )


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
