"""The one error that a user is meant to read, and the nearest name to a misspelt one."""

from __future__ import annotations

from dualgnn_dist.base.errors import Stopped, UserError, nearest


def test_nearest() -> None:
    assert nearest("epoch", ["epochs", "seed"]) == "; did you mean 'epochs'?"
    assert nearest("qqq", ["b", "a"]) == "; known are: a, b"
    assert nearest("qqq", []) == "; known are: none"


def test_an_error_for_users_is_refused_input_and_a_stop_is_not() -> None:
    assert issubclass(UserError, ValueError)  # a config's own checks raise that, and it is told apart from defects
    assert not issubclass(Stopped, ValueError) and Stopped.exit_code == 128 + 15
