"""What a config's text may hold: values that a person writes, and nothing that exhausts who reads it."""

from __future__ import annotations

from typing import Any

import pytest

from dualgnn_dist.base.documents import MAX_DEPTH, MAX_LETTERS, read_yaml_text

BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + k)}: &{chr(98 + k)} [*{chr(97 + k)}, *{chr(97 + k)}]\n" for k in range(24)
)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a: {b: [1, 2.5, yes, null, 2020-01-01x]}", {"a": {"b": [1, 2.5, True, None, "2020-01-01x"]}}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
        ('"1": 2', {"1": 2}),
        ("[1e-3]", ["1e-3"]),
        ("", None),
        ("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1), None),
    ],
)
def test_what_people_write(text: str, values: Any) -> None:
    assert read_yaml_text(text) == values or values is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, f"nested more than {MAX_DEPTH} levels deep at line 1"),
        ("{a: " * 5000, "nested more than"),
        (BOMB, "aliases make of it more than"),
        ("a: &x [*x]", "a value contains itself"),
        ("a: &x {<<: *x}", "a value contains itself"),
        ("1: 2", "the key 1 is no text; put it between quotes at line 1"),
        ("a:\n  null: 2", "the key null is no text; put it between quotes at line 2"),
        ("2020-01-01: 2", "the key 2020-01-01 is no text"),
        ("yes: 2", "the key yes is no text"),
        ("? [1]\n: 2", "the key of several values is no text"),
        ("a: 1\na: 2", "the key 'a' comes twice at line 2"),
        ("a: 2020-13-45", "2020-13-45 cannot be read"),
        ("a: " + "1" * 6000, "1111 cannot be read"),
        ("a: !!timestamp 5", "5 cannot be read"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
        ("a: [", "while parsing"),
        ("a" * (MAX_LETTERS + 1), "more than"),
    ],
)
def test_what_nobody_writes(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        read_yaml_text(text)
    assert "\n" not in str(error.value)
