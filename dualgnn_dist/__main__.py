"""`dualgnn-dist <verb>`, the same as `python -m dualgnn_dist.<verb>`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dualgnn_dist import compare, evaluate, explain, prepare, report, train, tune
from dualgnn_dist.base.command_line import run_program
from dualgnn_dist.base.errors import UserError, nearest

VERBS = {
    "prepare": (prepare.main, "raw data -> an Arrow store"),
    "train": (train.main, "a config -> a trained model and its test metrics"),
    "tune": (tune.main, "a search space -> trials on a Ray cluster, the best run and its test metrics"),
    "evaluate": (evaluate.main, "a finished run -> its metrics again, on any number of workers"),
    "compare": (compare.main, "finished runs -> means over seeds, paired tests, a table and a picture"),
    "report": (report.main, "a run or a sweep -> one HTML page that needs no network"),
    "explain": (explain.main, "a finished run -> its modality weights by community, a user's co-users"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Dispatches to a verb."""
    verb, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    run_program(lambda: _run(verb, rest))


def _run(verb: str, arguments: list[str]) -> None:
    if verb in ("-h", "--help"):
        print(_help())
    elif verb in VERBS:
        VERBS[verb][0](arguments)
    else:
        raise UserError(f"unknown verb {verb!r}{nearest(verb, VERBS)}")


def _help() -> str:
    verbs = "\n".join(f"  {name:<10} {what}" for name, (_, what) in VERBS.items())
    return (
        "usage: dualgnn-dist VERB ...\n\n"
        "Train multimodal graph recommenders, from raw interactions to full-ranking metrics.\n\n"
        f"verbs:\n{verbs}\n\n"
        "example:\n  dualgnn-dist train --config configs/quickstart.yaml\n\n"
        "each verb explains itself: dualgnn-dist train --help"
    )


if __name__ == "__main__":
    main()
