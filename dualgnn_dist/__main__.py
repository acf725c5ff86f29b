"""`dualgnn-dist <verb>`, the same as `python -m dualgnn_dist.<verb>`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from dualgnn_dist import __version__
from dualgnn_dist.base.command_line import run_program
from dualgnn_dist.base.errors import UserError, nearest

VERBS = {
    "prepare": "raw data -> an Arrow store",
    "train": "a config -> a trained model and its test metrics",
    "tune": "a search space -> trials on a Ray cluster, the best run's metrics",
    "evaluate": "a finished run -> its metrics again, on any number of workers",
    "recommend": "a finished run -> lists of items for users, items like an item",
    "export": "a finished run -> its vectors as files, or an index of its items",
    "compare": "finished runs -> means over seeds, paired tests, a picture",
    "report": "a run or a sweep -> one HTML page that needs no network",
    "explain": "a finished run -> modality weights by community, co-users",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Dispatches to a verb."""
    verb, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    run_program(lambda: _run(verb, rest))


def _run(verb: str, arguments: list[str]) -> None:
    if verb in ("-h", "--help"):
        print(_help())
    elif verb == "--version":
        print(f"dualgnn-dist {__version__}")
    elif verb in VERBS:
        importlib.import_module(f"dualgnn_dist.{verb}").main(arguments)
    else:
        raise UserError(f"unknown verb {verb!r}{nearest(verb, VERBS)}")


def _help() -> str:
    verbs = "\n".join(f"  {name:<10} {what}" for name, what in VERBS.items())
    return (
        "usage: dualgnn-dist VERB ...\n\n"
        "Train multimodal graph recommenders, from raw interactions to full-ranking metrics.\n\n"
        f"verbs:\n{verbs}\n\n"
        "example:\n  dualgnn-dist train --config configs/quickstart.yaml\n\n"
        "each verb explains itself: dualgnn-dist train --help; --version says which version this is"
    )


if __name__ == "__main__":
    main()
