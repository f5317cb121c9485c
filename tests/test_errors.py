"""What is said of another's error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.errors import brief

LONG = (
    "401 Client Error. "
    + "Repository Not Found for url: "
    + "x" * 120
    + ". "
    + "Make sure of it " * 9
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no route to\n host", "no route to host"),
        (LONG, LONG[: LONG.index(". Make")]),
        ("word " * 80, "word " * 40 + "..."),
        ("", "OSError"),
    ],
)
def test_it_ends_with_a_sentence_or_says_that_it_does_not(text: str, said: str) -> None:
    assert brief(OSError(text)) == said


@given(st.text())
def test_it_is_one_line_of_bounded_length(text: str) -> None:
    said = brief(OSError(text))
    assert 0 < len(said) <= 204
    assert "\n" not in said
