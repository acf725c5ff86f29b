"""The help of every verb, as docs/commands.md shows it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable

from text import ROOT

VERBS = ("prepare", "train", "tune", "evaluate", "recommend", "export", "compare", "report", "explain")


def _help(verb: str) -> str:
    os.environ["COLUMNS"] = "100"  # argparse folds at the width of the screen
    parser = importlib.import_module(f"dualgnn_dist.{verb}").parser()
    return f"```text\n{parser.format_help().rstrip()}\n```"


def blocks() -> dict[str, Callable[[], str]]:
    """What makes each verb's help, by its name in the pages."""
    sys.path.insert(0, str(ROOT))  # as from the root of the repository, where nothing is installed
    return {f"help-{verb}": lambda verb=verb: _help(verb) for verb in VERBS}
