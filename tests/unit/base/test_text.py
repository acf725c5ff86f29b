"""Text from outside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgnn_dist.base.text import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\rb\x00", "a\\rb\\x00"),
        ("über\ttab\n", "über\ttab\n"),
        ("\u202eabc", "\\u202eabc"),
        ("\udc80", "\\udc80"),
        ("日本", "日本"),
    ],
)
def test_what_steers_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_what_is_shown_can_be_printed_and_encoded(text: str) -> None:
    shown = visible(text)
    assert all(letter.isprintable() or letter in "\n\t" for letter in shown)
    shown.encode()
    assert visible(shown) == shown and (shown == text or not text.isprintable())
