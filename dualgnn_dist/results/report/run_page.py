"""The page of one run: what ran, how it went, what came out and how sure that is; unfinished, what there is."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.metrics import MetricKey, by_k, headline, is_metric
from dualgnn_dist.results.finished_run import FinishedRun, Learned, Metrics, NotOfThisRun
from dualgnn_dist.results.per_user import MAX_USERS, check_belong
from dualgnn_dist.results.report.axes import number
from dualgnn_dist.results.report.blocks import (
    Block,
    Cell,
    Chart,
    Code,
    Facts,
    Folded,
    Grid,
    Note,
    Paragraph,
    Remark,
    Section,
    Table,
)
from dualgnn_dist.results.report.charts import Series, lines
from dualgnn_dist.results.report.data import about_data, about_weights
from dualgnn_dist.results.report.intervals import half_widths
from dualgnn_dist.results.report.page import page
from dualgnn_dist.results.report.time_and_memory import memory, spent, time_spent, total_seconds
from dualgnn_dist.results.run_record import RunRecord
from dualgnn_dist.training.run_folder import CONFIG, METRICS

_BEYOND = (
    "coverage: share of items in any list; gini: how unevenly lists use items, 0 to 1; popularity: training "
    "interactions of a listed item; novelty: -log2 of the share of users who met it; personalization: 1 - overlap of "
    "two users' lists."
)


def run_page(record: RunRecord) -> str:
    """The page as HTML.

    Raises:
        UserError: the vectors are not those of the run.
    """
    config, run = record.config, record.finished
    store, learned, missing = _open(record)
    curves, time = Section("Learning curves", _curves(record)), Section("Where time went", time_spent(record))
    if run is None:
        sections = [curves, Section("Validation metrics", _validation_metrics(record)), time]
    else:
        test = Section("Test metrics", _test_metrics(run, store, learned, missing))
        sections = [test, curves, time, Section("Memory", memory(run))]
        if learned is not None and store is not None:
            sections.append(Section("Modality weights by community", about_weights(run, learned, store)))
    sections += [Section("Data", about_data(record, store)), Section("Run it again", _again(record))]
    subtitle = f"{config.model.name} on {config.data.store}, seed {config.run.seed}"
    return page(config.run.name, subtitle, record.written, [Facts(_facts(record)), *_warnings(record)], sections)


def metrics_table(values: Metrics, half: Metrics) -> Table:
    """A row a list length K, a column a metric: the mean, and ± half of its 95 % interval where it is known."""
    rows = by_k(values)
    names = list(dict.fromkeys(name for values_at_k in rows.values() for name in values_at_k))

    def cell(key: str) -> Cell:
        mean, around = values.get(key), half.get(key)
        if mean is None:
            return Cell("-")
        return Cell(f"{mean:.4f}" if around is None else f"{mean:.4f} ± {_rounded(around)}")

    return Table(["K", *names], [[Cell(str(k)), *(cell(str(MetricKey(name, k))) for name in names)] for k in rows])


def again(config: str, name: str) -> str:
    """The command line that trains a config once more, under another name."""
    plain = name if re.fullmatch(r"[A-Za-z_][\w.-]*", name) else json.dumps(name)  # an override's value is YAML
    return f"python -m dualgnn_dist.train --config {shlex.quote(config)} {shlex.quote(f'run.name={plain}')}"


def _open(record: RunRecord) -> tuple[Store | None, Learned | None, str | None]:
    """The store and the run's vectors; or why they are not there. Those of another run are refused."""
    store = None
    try:
        store = record.open_store()
        if record.finished is None:
            return store, None, None
        learned = record.finished.learned(store)
        check_belong(record.finished, learned, store)
        return store, learned, None
    except NotOfThisRun:
        raise
    except UserError as error:
        return store, None, str(error)


def _facts(record: RunRecord) -> list[tuple[str, str]]:
    run = record.finished
    facts = [("model", record.config.model.name)]
    if run is not None:
        test = next(iter(run.metrics["test"].values()))
        facts += [
            (f"test {name}", f"{test[name]:.4f}") for name in headline(record.config.train.metric) if name in test
        ]
    facts.append(("epochs", number(run.epochs if run else max(record.training, default=0))))
    if record.best_epoch is not None:
        facts.append(("best epoch", number(record.best_epoch)))
    if run is not None:
        facts.append(("time", spent(total_seconds(run.seconds))))
        facts.append(("peak memory", f"{max(run.peak_memory_bytes, default=0) / 2**30:.2f} GiB"))
    facts.append(("workers", _workers(record.config.resources.num_workers if run is None else run.num_workers)))
    facts.append(("finished" if run else "last written", f"{record.written:%Y-%m-%d}"))
    return facts


def _workers(num_workers: int | tuple[int, int]) -> str:
    if isinstance(num_workers, int):
        return number(num_workers) if num_workers else "in process"
    return "{} to {}".format(*num_workers)


def _warnings(record: RunRecord) -> list[Block]:
    if record.finished is not None:
        return []
    done, planned = max(record.training, default=0), record.config.train.epochs
    resume = f"python -m dualgnn_dist.train --config {shlex.quote(str(record.folder / CONFIG))} --resume"
    return [
        Note(
            f"Unfinished: {done:,} of at most {planned:,} epochs are in its history, and it has no {METRICS} yet. "
            "It is still running, or was stopped; then this goes on with it:"
        ),
        Code(resume, is_command=True),
    ]


def _test_metrics(run: FinishedRun, store: Store | None, learned: Learned | None, missing: str | None) -> list[Block]:
    half: Mapping[str, Metrics] = {}
    if store is not None and learned is not None:
        try:
            half = half_widths(run, learned, store)
        except NotOfThisRun:
            raise
        except UserError as error:
            missing = str(error)
    parts: list[Block] = []
    for candidates, values in run.metrics["test"].items():
        items = "all items" if candidates == "all" else f"{candidates} items alone"
        users = f"{values.get('num_users', 0):,.0f} users"
        parts.append(Paragraph(f"Means over {users}, {items} ranked, state of epoch {run.best_epoch}."))
        parts.append(metrics_table(values, half.get(candidates, {})))
        if candidates == next(iter(run.metrics["test"])):
            parts += _baselines(run)
    if missing is not None:
        return [*parts, Note(f"Without confidence intervals: {missing}.")]
    remark = (
        "± is half of the 95 % confidence interval over users (normal approximation). It speaks of other users like "
        "these; how much another seed would change is not in it."
    )
    if learned is not None and len(learned.users) > MAX_USERS:
        remark += f" Deviations are those of {MAX_USERS:,} users drawn at random."
    if run.config.evaluation.ndcg_convention != "standard":
        remark += (
            f" NDCG by the convention {run.config.evaluation.ndcg_convention!r}, see docs/from-the-released-code.md."
        )
    return [*parts, Remark(remark)]


def _baselines(run: FinishedRun) -> list[Block]:
    """A sentence a list that needs no training, what the run should be better than; and the lists beside accurate."""
    keys = headline(run.config.train.metric)
    parts: list[Block] = [
        Paragraph(f"Without training, by {name}: " + ", ".join(f"{key} {values[key]:.4f}" for key in keys) + ".")
        for name, values in run.baselines.items()
        if all(key in values for key in keys)
    ]
    if run.beyond:
        parts += [Paragraph("Beyond accuracy, of the same lists:"), metrics_table(run.beyond, {}), Remark(_BEYOND)]
    return parts


def _curves(record: RunRecord) -> list[Block]:
    if not record.training and not record.validation:
        return [Note("No epoch has ended yet: the history is empty.")]
    best = record.best_epoch
    marked = None if best is None else (float(best), "best epoch")
    charts: list[Chart] = []
    further: list[Chart] = []
    if record.training:
        charts.append(lines("training loss", "epoch", [_series(record.training, "loss")], marked))
    keys = list(dict.fromkeys(key for values in record.validation.values() for key in values if is_metric(key)))
    judged = {"recall", "ndcg", MetricKey.parse(record.config.train.metric).name}
    for name in dict.fromkeys(MetricKey.parse(key).name for key in keys):
        series = [_series(record.validation, key) for key in keys if MetricKey.parse(key).name == name]
        (charts if name in judged else further).append(lines(f"validation {name}", "epoch", series, marked))
    parts: list[Block] = [Grid(charts)]
    if further:
        parts.append(Folded(f"{len(further)} further validation metrics", [Grid(further)]))
    if best is not None:
        metric = record.config.train.metric
        parts.append(Remark(f"The dashed vertical line is epoch {best}, the best by validation {metric}."))
    return parts


def _series(by_epoch: Mapping[int, Metrics], key: str) -> Series:
    pairs = [(epoch, values[key]) for epoch, values in by_epoch.items() if key in values]
    return Series(key, [epoch for epoch, _ in pairs], [value for _, value in pairs])


def _validation_metrics(record: RunRecord) -> list[Block]:
    best = record.best_epoch
    if best is None:
        return [Paragraph("None yet.")]
    return [Paragraph(f"Of epoch {best}, the best so far."), metrics_table(record.validation[best], {})]


def _again(record: RunRecord) -> list[Block]:
    config = record.config
    parts: list[Block] = [Code(again(str(record.folder / CONFIG), f"{config.run.name}_again"), is_command=True)]
    if config.prepare is not None and not config.prepare.input:
        parts.append(Remark("It makes the store first if that is not there."))
    elif config.prepare is not None:
        parts.append(
            Remark(
                f"It makes the store first if that is not there, from {config.prepare.input}; a relative path is one "
                "from the folder in which the run was started."
            )
        )
    if record.finished is not None:
        rows = [[Cell(text, kind="left") for text in pair] for pair in record.finished.versions.items()]
        parts.append(Folded("Versions", [Table(["program", "version"], rows)]))
    return [*parts, Folded("The whole config", [Code(record.config_text)])]


def _rounded(half_width: float) -> str:
    return "-" if half_width != half_width else f"{half_width:.4f}"
