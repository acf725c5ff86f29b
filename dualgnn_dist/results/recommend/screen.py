"""What `recommend` shows: a table a user or an item."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import TextTable, say_aside
from dualgnn_dist.results.raw_ids import Kind
from dualgnn_dist.results.recommend.lists import Lists, Request
from dualgnn_dist.results.recommend.opened_run import OpenedRun
from dualgnn_dist.results.recommend.output import check_output, write_lists

MAX_SHOWN = 50  # tables on a screen; more belong into a file


def recommend_to(opened: OpenedRun, users: np.ndarray, request: Request, output: Path | None, console: Console) -> None:
    """The lists of int64 [n] rows of users: into the file `output`, or on the screen.

    Raises:
        UserError: too many for a screen, or the file cannot be written.
    """
    if output is None:
        if len(users) > MAX_SHOWN:
            raise UserError(
                f"{len(users):,} lists are too many for a screen (at most {MAX_SHOWN}); write them with "
                "--output lists.parquet"
            )
        _show(opened, "users", users, opened.rank(users, request), "score", console)
        return
    check_output(output)
    write_lists(output, opened.store, opened.in_blocks(users, request), len(users), say_aside)
    console.print(f"lists of {len(users):,} users, {request.k} items each: {output}", soft_wrap=True)


def show_similar(opened: OpenedRun, items: np.ndarray, request: Request, console: Console) -> None:
    """The items nearest to int64 [n] rows of items."""
    _show(opened, "items", items, opened.nearest(items, request), "cosine", console)


def _show(opened: OpenedRun, kind: Kind, rows: np.ndarray, lists: Lists, measure: str, console: Console) -> None:
    names = opened.store.ids(kind, rows).to_pylist()
    for name, items, scores in zip(names, lists.items, lists.scores, strict=True):
        ids = opened.store.ids("items", items[items >= 0]).to_pylist()
        cells = [
            (str(rank), str(item), f"{score:.4f}")
            for rank, (item, score) in enumerate(zip(ids, scores, strict=False), start=1)
        ]
        what = f"user {name}" if kind == "users" else f"items like {name}"
        if not cells:
            console.print(f"{what}: no item is left to list")
            continue
        TextTable(("rank", "item", measure), {what: cells}).show(console)
