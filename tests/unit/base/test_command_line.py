"""What the verbs share: options and overrides in any order, errors as sentences, and help that costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dualgnn_dist.base import command_line
from dualgnn_dist.base.command_line import run_program
from dualgnn_dist.base.errors import Stopped, UserError

LIGHT = ("command_line", "errors", "config")
HEAVY = {"numpy", "torch", "numba", "pyarrow", "ray", "rich", "yaml"}


@pytest.mark.parametrize("module", LIGHT)
def test_what_the_help_needs_imports_nothing_heavy(module: str) -> None:
    program = f"import sys, dualgnn_dist.base.{module}; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.split())
    assert f"dualgnn_dist.base.{module}" in loaded and not loaded & HEAVY


def test_options_and_overrides_come_in_any_order() -> None:
    parser = command_line.parser("train", "Train.", "python -m dualgnn_dist.train --config a.yaml")
    command_line.add_config(parser)
    parser.add_argument("--resume", action="store_true")
    options = command_line.parse(parser, ["a.b=1", "--config", "a.yaml", "--resume", "c.d=2"])
    assert (options.config, options.resume, options.overrides) == ("a.yaml", True, ["a.b=1", "c.d=2"])
    assert "example:\n  python -m dualgnn_dist.train --config a.yaml" in parser.format_help()


def test_what_was_typed_is_repeated_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.parse(command_line.parser("train", "Train.", "x"), ["--\x1b[31m"])
    assert ended.value.code == 2 and "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UserError("say this"), 2, "error: say this\n"),
        (UserError("an id: \x1b[31m"), 2, "error: an id: \\x1b[31m\n"),
        (Stopped("go on with --resume"), 143, "stopped: go on with --resume\n"),
        (OSError(36, "File name too long", "x" * 300), 2, f"error: {'x' * 300}: File name too long\n"),
        (KeyboardInterrupt(), 130, "stopped by the keyboard\n"),
    ],
)
def test_a_program_ends_with_a_message_and_a_code(
    error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def program() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        run_program(program)
    assert ended.value.code == code
    assert capsys.readouterr().err == message


def test_a_defect_of_our_own_keeps_its_traceback() -> None:
    def program() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_program(program)
    run_program(lambda: sys.stdout.flush())
