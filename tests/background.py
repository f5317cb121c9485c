"""Work that goes on in a thread while a test does something else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(work: Callable[[], object], every_s: float = 0.0) -> Iterator[None]:
    """`work` again and again, `every_s` apart, until the block ends."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            work()
            over.wait(every_s)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
