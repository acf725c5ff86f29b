"""Lines about a run: seconds apart, with what is left."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgnn_dist.base import screen
from dualgnn_dist.base.screen import (
    CountProgress,
    StepProgress,
    TextTable,
    console,
    duration,
    nothing,
    say,
    say_aside,
    visible,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1:00"), (185, "3:05"), (3599.7, "1:00:00"), (7385, "2:03:05")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_say(capsys: pytest.CaptureFixture[str]) -> None:
    say("one")
    nothing("two")
    assert capsys.readouterr().out == "one\n"


def test_lines_come_seconds_apart_and_ask_for_the_loss_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now, lines, asked = [100.0], [], []
    monkeypatch.setattr(screen.time, "perf_counter", lambda: now[0])
    steps = StepProgress(lines.append, total_steps=110, done_steps=10)

    def loss() -> float:
        asked.append(now[0])
        return 0.5

    for step in range(11, 31):  # a step takes half a second
        now[0] += 0.5
        steps.step(f"epoch 1/2  step {step}", step, loss, 12345.6, 0.257)
    assert asked == [105.0, 110.0]
    assert lines == [
        "epoch 1/2  step 20  loss 0.5000  12,346 interactions/s  waiting for batches 26%  at most 45 s left",
        "epoch 1/2  step 30  loss 0.5000  12,346 interactions/s  waiting for batches 26%  at most 40 s left",
    ]


def test_counted_things_come_with_a_rate_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now, lines = [100.0], []
    monkeypatch.setattr(screen.time, "perf_counter", lambda: now[0])
    counted = CountProgress(lines.append, "co-occurrence", 20_000, "users")
    for done in (0, 1000, 4000, 5000, 8000):
        counted.at(done)
        now[0] += 2.0
    assert lines == ["co-occurrence  5,000 of 20,000 users  833 a second  18 s left"]


def test_seconds_that_happen_once_are_left_out_of_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now, compiling, lines = [100.0], [7.0], []
    monkeypatch.setattr(screen.time, "perf_counter", lambda: now[0])
    steps = StepProgress(lines.append, 100, 0, lambda: compiling[0])
    counted = CountProgress(lines.append, "co-occurrence", 100, "users", lambda: compiling[0])
    now[0], compiling[0] = 140.0, 37.0  # 10 steps in 40 seconds, 30 of them went into compiling
    steps.step("epoch 1/1", 10, lambda: 0.5, 1.0, 0.0)
    counted.at(10)
    assert lines[0].endswith("at most 1:30 left")
    assert lines[1] == "co-occurrence  10 of 100 users  1 a second  1:30 left"


def test_a_line_aside_goes_to_standard_error_if_there_is_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    say_aside("one")
    assert capsys.readouterr() == ("", "one\n")
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    say_aside("two")


def test_lines_hold_nothing_that_steers_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[31mb\nc")
    say_aside("a\rb")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("a\\x1b[31mb\nc\n", "a\\rb\n")


@pytest.mark.parametrize("text", ["[/red]", "[bold]x", ":smile:", "a\x1b[2Jb", "\u202eevil", "\x07", "\\[x]"])
def test_a_table_shows_what_it_is_given_as_text(text: str) -> None:
    output = io.StringIO()
    screen = console(output)
    screen.print(text)
    TextTable((text, "value"), {text: [(text, text)]}).show(screen)
    shown = output.getvalue()
    assert shown.count(visible(text)) == 5
    assert not {letter for letter in shown if not letter.isprintable()} - {"\n"}


def test_a_cell_is_no_markup_of_a_markdown_table() -> None:
    text = TextTable(("name",), {"title": [("<img src=x>",), ("a|b\\|c",), ("a\nb\x1b",)]}).markdown()
    assert text.splitlines()[4:] == ["| &lt;img src=x> |", "| a\\|b\\\\\\|c |", "| a b\\\\x1b |"]


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
