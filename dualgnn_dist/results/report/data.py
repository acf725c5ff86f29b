"""What a run was trained on, and what it learned of its users: the parts of its page that need the store."""

from __future__ import annotations

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.results.explain.explanation import (
    by_community,
    modality_weights,
    notes,
    weights_table,
    why_no_weights,
)
from dualgnn_dist.results.finished_run import FinishedRun, Learned
from dualgnn_dist.results.report.blocks import (
    Bar,
    Bars,
    Block,
    Cell,
    Facts,
    Folded,
    Grid,
    Note,
    Paragraph,
    Remark,
    Table,
)
from dualgnn_dist.results.report.charts import boxes
from dualgnn_dist.results.run_record import RunRecord
from dualgnn_dist.training.state import make_model

_COMMUNITIES = 8
_MAX_USERS = 100_000  # of whom communities are made


def about_data(record: RunRecord, store: Store | None) -> list[Block]:
    """The store's sizes, the share of items that miss each modality, and what the run hides on top."""
    parts: list[Block] = [Note(f"The store {record.config.data.store} is not there.")]
    if store is not None:
        parts = [_sizes(store)]
    if store is not None and store.manifest.modalities:
        items = max(store.manifest.num_items, 1)
        shares = {name: 1 - info.num_present / items for name, info in store.manifest.modalities.items()}
        rows = [Bar(name, share, f"{share:.1%}") for name, share in shares.items()]
        parts.append(Bars("items that miss a modality", rows))
    elif store is not None:
        parts.append(Paragraph("The store has no modalities."))
    dropped = record.config.data.drop_modality
    if dropped is None:
        return [*parts, Remark("data.drop_modality is null: nothing is hidden that the store has.")]
    what = "of each modality on its own" if dropped.modality == "any" else f"of {dropped.modality}"
    return [
        *parts,
        Paragraph(
            f"data.drop_modality hides the content {what} for {dropped.share:.0%} of the items, in training and "
            f"ranking (seed {dropped.seed}), on top of what the store misses."
        ),
    ]


def about_weights(run: FinishedRun, learned: Learned, store: Store) -> list[Block]:
    """How communities of users weigh the modalities, as boxes and as a table."""
    try:
        model = make_model(run.config, store)
        if not modality_weights(learned):
            return [Paragraph(f"None. {why_no_weights(run, model)}.")]
        sample = _some(learned)
        weights = by_community(run, sample, model, min(_COMMUNITIES, len(sample.users)))
    except UserError as error:
        return [Note(f"Without modality weights: {error}.")]
    every = np.percentile(np.stack([*weights.weights.values()]), (2, 98), axis=1).ravel()
    charts = []
    for colour, (name, values) in enumerate(weights.weights.items()):
        groups = {str(c + 1): values[weights.communities == c] for c in range(weights.communities.max() + 1)}
        charts.append(boxes(name, "community", {**groups, "all": values}, every, colour))
    table = weights_table(weights)
    ((title, rows),) = table.sections.items()
    cells = [[Cell(text) for text in row] for row in rows]
    remarks = [
        "Boxes: quartiles and median of a community's users, whiskers 5 % to 95 %. Communities: k-means of the users' "
        "representations, normalised; the largest first.",
        *notes(weights),
    ]
    if len(sample.users) < len(learned.users):
        remarks.append(f"Of {len(sample.users):,} users drawn at random.")
    return [Grid(charts), Remark(" ".join(remarks)), Folded(title, [Table(table.headings, cells)])]


def _sizes(store: Store) -> Facts:
    sizes = store.manifest
    entries = [("users", f"{sizes.num_users:,}"), ("items", f"{sizes.num_items:,}")]
    entries += [(f"{split} interactions", f"{count:,}") for split, count in sizes.num_interactions.items()]
    return Facts(entries)


def _some(learned: Learned) -> Learned:
    if len(learned.users) <= _MAX_USERS:
        return learned
    rows = np.sort(np.random.default_rng(0).choice(len(learned.users), _MAX_USERS, replace=False))
    columns = {name: values[rows] for name, values in learned.columns.items()}
    return Learned(learned.users[rows], learned.items, columns)
