"""What the verbs share: one way to name a config and its overrides, one help page that fits a screen."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from dualgnn_dist.base.errors import Failed, Stopped, UserError
from dualgnn_dist.base.liveness.signals import second_ends_at_once
from dualgnn_dist.base.screen import visible


def parser(verb: str, summary: str, example: str) -> argparse.ArgumentParser:
    """A verb's parser; `summary` and `example`, a whole command line, are shown as they are: lines of at most 80."""
    return _Parser(
        prog=f"python -m dualgnn_dist.{verb}",
        description=summary,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


class _Parser(argparse.ArgumentParser):
    """Shows what it was given as text, whatever that holds."""

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(visible(message), file)


def add_config(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Adds `--config FILE` and the overrides behind the options."""
    parser.add_argument("--config", metavar="FILE", required=required, help="one complete run as YAML, see configs/")
    add_overrides(parser)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Adds the overrides alone."""
    parser.add_argument(
        "overrides", nargs="*", metavar="section.key=value", help="overrides a value of the config, see the example"
    )


def parse(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    did_you_mean: Callable[[str, str], str] = lambda name, value: "",
) -> argparse.Namespace:
    """Parses options and overrides in any order; ends the program where one is not known.

    Args:
        did_you_mean: words of the setting that an unknown option, with its value, may have meant; empty: none.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options, others = parser.parse_known_intermixed_args(arguments)
    if others:
        parser.error(f"unrecognized arguments: {' '.join(others)}{_meant(parser, arguments, others, did_you_mean)}")
    return options


def _meant(
    parser: argparse.ArgumentParser, arguments: list[str], others: list[str], did_you_mean: Callable[[str, str], str]
) -> str:
    """Words of the option or the setting that is nearest to the first unknown option."""
    first = next((other for other in others if other.startswith("-")), None)
    if first is None:
        return ""
    name, _, value = first.partition("=")
    behind = arguments[arguments.index(first) + 1 :]
    if not value and behind and not behind[0].startswith("-") and "=" not in behind[0]:
        value = behind[0]
    known = [option for action in parser._actions for option in action.option_strings]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    return f"; did you mean {close[0]}?" if close else did_you_mean(name, value or "true")


def _tell(line: str) -> None:
    print(visible(line), file=sys.stderr)


def run_program(program: Callable[[], None]) -> None:
    """Runs a verb: a `UserError` becomes its message on standard error and exit code 2, never a traceback.

    So does what the system says of a path: a name too long, a place that may not be read. The second SIGTERM or Ctrl-C
    ends it at once, in whatever state it is.
    """
    try:
        with second_ends_at_once():
            program()
    except UserError as error:
        _tell(f"error: {error}")
        sys.exit(2)
    except Failed as failed:
        _tell(f"error: {failed}")
        sys.exit(1)
    except OSError as error:
        if error.filename is None or error.strerror is None:
            raise
        _tell(f"error: {error.filename}: {error.strerror}")
        sys.exit(2)
    except Stopped as stopped:
        _tell(f"stopped: {stopped}")
        sys.exit(stopped.exit_code)
    except KeyboardInterrupt:
        _tell("stopped by the keyboard")
        sys.exit(130)
