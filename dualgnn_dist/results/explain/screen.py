"""What `explain` shows, on the screen and as a figure."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from dualgnn_dist.base.screen import TextTable
from dualgnn_dist.base.storage.files import write_atomically, writing_to
from dualgnn_dist.results import figures
from dualgnn_dist.results.explain.explanation import (
    CoUsersOfOne,
    by_community,
    co_users_of,
    modality_weights,
    notes,
    user_weights_table,
    weights_table,
    why_no_weights,
)
from dualgnn_dist.results.finished_run import FinishedRun
from dualgnn_dist.results.per_user import check_belong
from dualgnn_dist.results.raw_ids import rows_of
from dualgnn_dist.training.state import make_model

_SHOWN = 40  # co-users of one user on the screen: as many as the published model reads


def explain_all(run: FinishedRun, communities: int, folder: Path, console: Console) -> None:
    """Shows how users weigh the modalities, by community, and writes `modality_weights.png` and `.md`."""
    store = run.open_store()
    learned = run.learned(store)
    check_belong(run, learned, store)
    weights = by_community(run, learned, make_model(run.config, store), communities)
    table, lines = weights_table(weights), notes(weights)
    title = f"Modality weights of {run.folder.name}"
    caption = (
        "Boxes: quartiles and median of a community's users, whiskers 5 % to 95 %. Dashed: equal weights. "
        "Communities: k-means of the users' representations, normalised; the largest first."
    )
    listed = "\n".join(f"- {line}" for line in lines)
    picture = folder / "modality_weights.png"
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "modality_weights.md", f"# {title}\n\n{table.markdown()}\n{listed}\n")
        figures.weights_by_community(picture, title, weights.weights, weights.communities, caption)
    table.show(console)
    for line in lines:
        console.print(f"- {line}")
    console.print(f"figure and table: {folder}", soft_wrap=True)


def explain_user(run: FinishedRun, raw_id: str, console: Console) -> None:
    """Shows one user's modality weights, and its co-users as the model weighs them."""
    store = run.open_store()
    row, model = int(rows_of(store, "users", [raw_id])[0]), make_model(run.config, store)
    learned = run.learned(store)
    check_belong(run, learned, store)
    weights = modality_weights(learned)
    items = len(store.user_item.row(row))
    console.print(f"user {raw_id} of {store.path}: {items:,} training items", soft_wrap=True)
    if weights:
        user_weights_table(raw_id, row, weights).show(console)
    else:
        console.print(f"modality weights: none. {why_no_weights(run, model)}")
    co_users = co_users_of(store, model, row)
    if co_users is None:
        name = run.config.model.name
        console.print(f"co-users: none. {name} as configured here does not read the co-occurrence graph")
    elif not co_users.ids:
        console.print("co-users: none. No other user shares a training item with this one")
    else:
        _show_co_users(co_users, console)


def _show_co_users(co_users: CoUsersOfOne, console: Console) -> None:
    number = len(co_users.ids)
    pairs = zip(co_users.ids, co_users.shared, co_users.weights, strict=True)
    cells = [(name, str(count), f"{weight:.6f}") for name, count, weight in pairs][:_SHOWN]
    TextTable(("co-user", "shared items", "weight s(u,v)"), {f"co-users: {number:,}, heaviest first": cells}).show(
        console
    )
    if number > _SHOWN:
        console.print(f"{number - _SHOWN:,} more hold {1 - co_users.held_by(_SHOWN):.1%} of the weight")
    held = ", ".join(f"first {first} {co_users.held_by(first):.1%}" for first in (1, 5, 10))
    console.print(f"of all weight: {held}")
