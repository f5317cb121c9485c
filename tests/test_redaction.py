from __future__ import annotations

import logging
import sys

import pytest

from actd.crash import LogFormatter
from actd.redaction import redact, redacted, scrub, scrubbed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://cam:secret@192.0.2.10:554/s", "rtsp://***@192.0.2.10:554/***"),
        ("rtsp://token@cam/s", "rtsp://***@cam/***"),
        ("camera top (rtsp://cam:p@ss@cam/s): gone", "camera top (rtsp://***@cam/***): gone"),
        ("found 'rtsp://cam:p/s#s?@cam/s'", "found 'rtsp://***@cam/***'"),
        ("(http://cam/s?token=abc&res=640): gone", "(http://cam/***): gone"),
        ("http://cam?abc, then", "http://cam/***, then"),
        ("http://u:p?x@cam/s?key=a?b", "http://***@cam/***"),
        ("rtsp://u:p@one/s and rtsp://v:q@two/s", "rtsp://***@one/*** and rtsp://***@two/***"),
        ("http://127.0.0.1:8000/top: what? me@home", "http://127.0.0.1:8000/***: what? me@home"),
        ("['rtsp://cam/live/TOKEN', 1]", "['rtsp://cam/***', 1]"),
        ("http://cam/#TOKEN.", "http://cam/***."),
        # the @ was lost: what stands for host and port is the password
        ("rtsp://cam:p4ss192.0.2.10:554/s", "rtsp://***"),
        ("rtsp://cam:p4ss192.0.2.10", "rtsp://***"),
        ("http://cam:99999/s", "http://***"),
        # a path made of an address
        ("https:/me:token@hub.example/me/cup: gone", "https:/***@hub.example/***: gone"),
        ("https://huggingface.co/me/cup?token=a", "https://huggingface.co/me/cup?***"),
        ("tcp://[::1]:9871 or http://cam/", "tcp://[::1]:9871 or http://cam/"),
        ("use one of http://, rtsp://", "use one of http://, rtsp://"),
        ("write rtsp://HOST:PORT/PATH in quotes", "write rtsp://HOST:PORT/PATH in quotes"),
        ("mail me@home: /dev/video0 of C:/cameras", "mail me@home: /dev/video0 of C:/cameras"),
    ],
)
def test_secrets_of_an_address_are_hidden_and_nothing_else(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact(shown) == shown


def test_data_is_redacted_however_deep() -> None:
    data = {"a": [{"b": "rtsp://u:p@cam"}, ("http://cam?t=1",), 2.5, None, True]}
    assert redacted(data) == {"a": [{"b": "rtsp://***@cam"}, ["http://cam/***"], 2.5, None, True]}


def test_a_traceback_in_the_log_is_redacted() -> None:
    try:
        raise ValueError("rtsp://u:needle@cam")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "", 1, "%s", ("no",), sys.exc_info())
    line = LogFormatter("%(message)s").format(record)
    assert "ValueError: rtsp://***@cam" in line
    assert "needle" not in line


def test_text_for_strangers() -> None:
    assert scrub("camera (rtsp://me:x@h/a): gone; see it") == "camera (rtsp://***): gone; see it"
    assert scrub("me:x@h and me@h:a") == "***@h and me@h:a"
    assert scrub("the token hf_abcdefghijklmnopqrst is mine") == "the token *** is mine"
    assert scrub("password = a b # c") == "password = ***"
    assert scrub("nothing to hide: 12:30, 3 tokens") == "nothing to hide: 12:30, 3 tokens"
    assert scrubbed({"a": ["rtsp://a b"], "hub_token": {"x": 1}}) == {
        "a": ["rtsp://***"],
        "hub_token": "***",
    }
