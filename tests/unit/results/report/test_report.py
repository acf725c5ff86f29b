"""The report's parts: markup that cannot be broken out of, axes, charts, intervals, and pages from files made here."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist import report
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation import representations
from dualgnn_dist.evaluation.evaluate import evaluate
from dualgnn_dist.evaluation.metrics import metric_keys
from dualgnn_dist.evaluation.representations import Representations
from dualgnn_dist.results.finished_run import FinishedRun, Learned
from dualgnn_dist.results.finished_sweep import read_sweep
from dualgnn_dist.results.report import intervals
from dualgnn_dist.results.report.axes import axis_of, category_axis, number
from dualgnn_dist.results.report.charts import Bar, Point, Series, bars, boxes, lines, scatter, stacked
from dualgnn_dist.results.report.markup import Html, joined, tag
from dualgnn_dist.results.report.run_page import again, run_page
from dualgnn_dist.results.report.sweep_page import pareto, sweep_page
from dualgnn_dist.results.report.time_and_memory import spent, total_seconds
from dualgnn_dist.results.run_files import read_files
from dualgnn_dist.training.sweep.folder import Trial

HOSTILE = """</title></style></script><script>alert("1")</script><img src=x onerror='alert(2)'>&"""
BEST = ((1, 0.2), (2, 0.1), (3, 0.2))  # the validation metric by epoch
FINITE = st.floats(allow_nan=False, allow_infinity=False)


class _Elements(html.parser.HTMLParser):
    """Every element that a browser would make of a page, with its attributes; checks that they are closed in order."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((name, dict(attributes)))
        if name not in self.VOID:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name


def is_harmless(text: str) -> bool:
    """One script, ours; nothing that loads; no handler."""
    elements = _Elements(text).found
    names = [name for name, _ in elements]
    urls = [value or "" for _, attributes in elements for key, value in attributes.items() if key in ("src", "href")]
    handlers = [key for _, attributes in elements for key in attributes if key.startswith("on")]
    return names.count("script") <= 1 and not handlers and all(url.startswith("data:") for url in urls)


@given(st.text(), st.text())
def test_no_text_becomes_markup(text: str, value: str) -> None:
    ((name, attributes),) = _Elements(tag("p", text, title=value)).found
    assert name == "p" and set(attributes) == {"title"}


def test_markup_that_went_through_a_format_is_text_again() -> None:
    bold = tag("b", "x")
    assert tag("p", bold) == "<p><b>x</b></p>"
    assert tag("p", f"{bold}") == "<p>&lt;b&gt;x&lt;/b&gt;</p>"
    assert isinstance(joined([bold, "<"]), Html) and joined([bold, "<"]) == "<b>x</b>&lt;"
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert tag("a", class_="b", aria_label="c", x=1.25, hidden=True, open=False, id=None) == (
        '<a class="b" aria-label="c" x="1.2" hidden></a>'
    )


@settings(deadline=None)
@given(st.lists(FINITE, max_size=6), st.booleans())
def test_ticks_lie_between_the_ends_and_can_be_told_apart(values: list[float], integers: bool) -> None:
    axis = axis_of(values, integers)
    assert axis.low < axis.high and 1 <= len(axis.ticks) <= 13
    places = [axis.place(tick) for tick in axis.ticks]
    assert places == sorted(places) and all(0 <= place <= 1 for place in places)
    assert len(set(axis.labels)) == len(axis.labels)
    assert all(0 <= axis.place(value) <= 1 for value in values)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=9))
def test_whole_numbers_have_whole_ticks(values: list[int]) -> None:
    assert all(tick == int(tick) for tick in axis_of(values, integers=True).ticks)


def test_axes() -> None:
    assert axis_of([0, 0.4]).labels == ("0.0", "0.1", "0.2", "0.3", "0.4")
    assert axis_of([1e-4, 1e-1]).kind == "log" and axis_of([1e-4, 1e-1]).labels == ("1e-4", "0.001", "0.01", "0.1")
    assert axis_of([1e-3, 1e-1]).kind == "linear"  # no more than two decades
    assert axis_of([0, 1, 1e6]).kind == "linear"  # zero has no logarithm
    assert axis_of([1e6, 3e6]).labels[-1] == "3.0M"
    assert axis_of([1e-4, 1e-1]).place(1e-4) < axis_of([1e-4, 1e-1]).place(1e-2) < 1
    assert category_axis(["a", "b"]).labels == ("a", "b")
    assert [number(value) for value in (None, math.nan, 3.0, 1234567.0, 0.123456, 2e-7, 12345.6)] == [
        "-", "-", "3", "1,234,567", "0.1235", "2e-7", "12,346",
    ]  # fmt: skip


NUMBERS = st.lists(st.floats(), max_size=5)


@settings(deadline=None, max_examples=50)
@given(NUMBERS, st.text(max_size=9))
def test_a_chart_can_be_drawn_of_anything(values: list[float], name: str) -> None:
    finite = [value for value in values if math.isfinite(value)]
    states = ("complete", "stopped", "failed")
    drawn = [
        lines(name, name, [Series(name, range(len(values)), values)], (1.0, name)),
        scatter(name, name, [Point(v, v, states[k % 3], name) for k, v in enumerate(finite)]),
        scatter(name, name, [Point(str(v), None, "failed", name) for v in finite]),
        stacked(name, [(name, abs(value), name) for value in finite if abs(value) < 1e100]),
        bars(name, [Bar(name, value, name) for value in finite]),
    ]
    for chart in drawn:
        elements = _Elements(chart).found
        for element, attributes in elements:
            if element == "svg" and "aria-hidden" not in attributes:
                assert attributes["role"] == "img" and "aria-label" in attributes
            for key in ("x", "y", "cx", "cy", "x1", "y1", "d", "width"):
                assert not re.search("nan|inf", attributes.get(key) or "")


def test_a_line_goes_through_its_points() -> None:
    chart = lines("loss", "epoch", [Series("loss", [1, 2, 3], [3.0, math.nan, 1.0])], (3.0, "best"))
    dots = [attributes for name, attributes in _Elements(chart).found if name == "circle"]
    assert len(dots) == 2, "what is not finite is left out"
    assert float(dots[0]["cx"] or 0) < float(dots[1]["cx"] or 0) and float(dots[0]["cy"] or 0) < float(
        dots[1]["cy"] or 0
    )
    assert "loss: 3 at 1, 1 at 3" in chart and "<title>best: 3</title>" in chart
    many = lines("l", "epoch", [Series("l", range(1000), list(map(float, range(1000))))])
    path = next(attributes["d"] for name, attributes in _Elements(many).found if attributes.get("class") == "line c0")
    assert (path or "").count("L") == 999 and many.count("<circle") <= 151


def test_boxes_and_bars_hold_what_they_say() -> None:
    drawn = boxes("visual", "community", {"1": np.arange(101.0), "all": np.ones(3)}, np.array([0.0, 100.0]))
    assert "community 1: median 50, half between 25 and 75" in drawn
    widths = [
        float(a["width"] or 0)
        for n, a in _Elements(stacked("t", [("a", 1, "1 s"), ("b", 3, "3 s")])).found
        if n == "rect"
    ]
    assert widths[:2] == [250, 750]
    crosses = scatter(
        "t", "x", [Point(1, 0.5, "complete", "a"), Point(2, 0.1, "failed", "b"), Point(3, None, "stopped", "c")]
    )
    assert crosses.count('class="cross"') == 2 and crosses.count("<circle") == 1


def learned_on(store: Store) -> Learned:
    rng = np.random.default_rng(5)
    sizes = store.manifest
    users, items = (rng.normal(size=(n, 4)).astype(np.float32) for n in (sizes.num_users, sizes.num_items))
    return Learned(users, items, {"weight_visual": rng.random(sizes.num_users).astype(np.float32)})


@pytest.fixture
def make_run(demo_store: Store, tmp_path: Path) -> Callable[..., Path]:
    """`make_run(..)`: a run's folder on the demo store, finished by hand; values of metrics.json may be given."""

    def make(name: str = "demo", finished: bool = True, store: str | None = None, **changes: Any) -> Path:
        from_vectors = learned_on(demo_store)
        folder = tmp_path / "run"
        folder.mkdir()
        config = {
            "data": {"store": store or str(demo_store.path), "drop_modality": {"share": 0.3, "modality": "visual"}},
            "model": {"name": "dualgnn", "max_co_users": 40},
            "train": {"epochs": 4, "metric": "recall@10"},
            "evaluation": {"ks": [5, 10]},
            "run": {"name": name},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        values = dict.fromkeys(metric_keys((5, 10)), 0.1)
        records = [
            {"epoch": 1, "training": {"loss": 0.7, "seconds": 2.0, "interactions_per_second": 10, "waiting_share": 0.5}}
        ]
        records += [{"epoch": epoch, "validation": {**values, "recall@10": best}} for epoch, best in BEST]
        (folder / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        rows = np.arange(len(from_vectors.users))
        given_vectors = Representations(*map(_tensor, (rows, from_vectors.users, from_vectors.items)))
        test = evaluate(given_vectors, demo_store, "test", (5, 10), "standard", World())
        metrics = {
            "validation": values,
            "test": test,
            "test_by_candidates": {"all": test},
            "best_epoch": 1,
            "epochs": 3,
            "seconds": {"training": 8.0, "waiting": 2.0, "inference": 1.0, "ranking": 0.5, "total": 10.0},
            "peak_memory_bytes": [2**30, 2**29],
            "num_workers": 1,
            "store": {"fingerprint": demo_store.manifest.fingerprint},
            "versions": {"torch": "1"},
            **changes,
        }
        if finished:
            (folder / "metrics.json").write_text(json.dumps(metrics))
            write_vectors(folder / "representations", from_vectors, demo_store)
        return folder

    return make


def _tensor(values: np.ndarray) -> Any:
    return torch.from_numpy(values)


def write_vectors(folder: Path, learned: Learned, store: Store) -> None:
    rows, items = np.arange(len(learned.users)), np.arange(len(learned.items))
    representations.write(
        folder / "users-00000-of-00001.arrow", rows, store.ids("users"), learned.users, learned.columns
    )
    representations.write(folder / "items.arrow", items, store.ids("items"), learned.items)


def test_intervals_are_those_of_a_bootstrap_over_users(make_run: Callable[..., Path], demo_store: Store) -> None:
    run = read_files(make_run()).finished
    assert isinstance(run, FinishedRun)
    learned = learned_on(demo_store)
    half = intervals.half_widths(run, learned, demo_store)["all"]
    assert set(half) == set(metric_keys((5, 10)))
    rows = np.arange(len(learned.users))
    values = intervals._per_user(run, learned, rows, demo_store, "test", "all")["ndcg@10"]
    assert values.mean() == pytest.approx(run.metrics["test"]["all"]["ndcg@10"])
    rng = np.random.default_rng(0)
    means = [rng.choice(values, len(values)).mean() for _ in range(4000)]
    low, high = np.percentile(means, (2.5, 97.5))
    assert half["ndcg@10"] == pytest.approx((high - low) / 2, rel=0.08)


def test_a_sample_of_users_gives_nearly_the_same_interval(make_run: Callable[..., Path], demo_store: Store) -> None:
    run = read_files(make_run()).finished
    assert run is not None
    whole = intervals.half_widths(run, learned_on(demo_store), demo_store)["all"]["hitrate@10"]
    sampled = intervals.half_widths(run, learned_on(demo_store), demo_store, max_users=40)["all"]["hitrate@10"]
    assert sampled == pytest.approx(whole, rel=0.25) and sampled != whole
    other = learned_on(demo_store)
    other.users[:] = -other.users
    with pytest.raises(UserError, match="not of one run"):
        intervals.half_widths(run, other, demo_store)


def test_the_page_of_a_finished_run(make_run: Callable[..., Path]) -> None:
    text = run_page(read_files(make_run()))
    assert is_harmless(text)
    for said in (
        "Test metrics", "±", "confidence interval over users", "training loss", "validation recall", "Memory",
        "waiting for batches 2 s (20.0%)", "everything else 0.5 s (5.0%)", "worker 0", "worker 1", "1.00 GiB",
        "Modality weights by community", "items that miss a modality", "hides the content of visual for 30%",
        "max_co_users: 40", "run.name=demo_again", "torch",
    ):  # fmt: skip
        assert said in text, said


def test_the_page_of_an_unfinished_run(make_run: Callable[..., Path]) -> None:
    folder = make_run(finished=False)
    with (folder / "history.jsonl").open("a") as file:
        file.write('{"epoch": 4, "train')  # being written
    text = run_page(read_files(folder))
    assert is_harmless(text) and "Unfinished: 1 of at most 4 epochs" in text and "--resume" in text
    assert "Of epoch 1, the best so far" in text, "the first of equals"
    assert "Test metrics" not in text and "items that miss a modality" in text
    (folder / "history.jsonl").unlink()
    assert "No epoch has ended yet" in run_page(read_files(folder))


def test_without_its_store_a_run_has_no_intervals(make_run: Callable[..., Path]) -> None:
    text = run_page(read_files(make_run(store="/nowhere")))
    assert "Without confidence intervals" in text and "±" not in text and "Test metrics" in text
    assert "The store /nowhere is not there" in text


def test_a_hostile_name_stays_a_text(make_run: Callable[..., Path]) -> None:
    text = run_page(read_files(make_run(name=HOSTILE.replace("/", "|"), versions={HOSTILE: HOSTILE})))
    assert is_harmless(text) and "<script>alert" not in text and "&lt;script&gt;alert" in text


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("metrics.json", "{", "metrics.json is damaged"),
        ("metrics.json", "[]", "metrics.json is damaged"),
        ("metrics.json", "{}", "metrics.json is damaged"),
        ("history.jsonl", "{\n{}\n", "line 1, is damaged"),
        ("history.jsonl", '{"epoch": "1"}\n', "must be a whole number"),
        ("history.jsonl", '{"epoch": 1, "training": {"loss": "x"}}\n', "line 1: training.loss"),
        ("history.jsonl", "3\n", "not a mapping"),
        ("config.yaml", "a: [", "cannot be read as YAML"),
    ],
)
def test_a_damaged_file_is_named(make_run: Callable[..., Path], file: str, content: str, message: str) -> None:
    folder = make_run()
    (folder / file).write_text(content)
    with pytest.raises(UserError, match=re.escape(message)):
        read_files(folder)


@pytest.mark.parametrize(
    "changes", [{"seconds": None}, {"peak_memory_bytes": "x"}, {"versions": {"a": 1}}, {"epochs": None}]
)
def test_a_damaged_summary_is_named(make_run: Callable[..., Path], changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"metrics\.json is damaged"):
        read_files(make_run(**changes))


def test_damaged_vectors_cost_the_intervals_alone(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    (folder / "representations" / "items.arrow").write_bytes(b"x")
    text = run_page(read_files(folder))
    assert "Without confidence intervals" in text and "Test metrics" in text


def test_the_command_is_one_that_a_shell_and_yaml_take_as_it_is() -> None:
    assert again("a b.yaml", "x_again") == "python -m dualgnn_dist.train --config 'a b.yaml' run.name=x_again"
    assert again("a.yaml", "1: 2").endswith("""'run.name="1: 2"'""")


def test_seconds_of_a_resumed_run_are_those_of_all_its_starts() -> None:
    assert total_seconds({"training": 500.0, "waiting": 9.0, "ranking": 5.0, "total": 100.0}) == 505
    assert total_seconds({"training": 50.0, "total": 100.0}) == 100
    assert [spent(seconds) for seconds in (None, 0.123, 9.9, 3725)] == ["-", "0.12 s", "9.9 s", "1:02:05"]


def trial(number: int, value: float | None = 0.1, state: Any = "complete", **changes: Any) -> dict[str, Any]:
    params = {"optimizer.learning_rate": 10.0 ** -(number % 4 + 1), "model.fusion": ["max", "mean"][number % 2]}
    made = {"number": number, "params": params, "state": state, "value": value, "epochs": 3, "seconds": 5.0 + number}
    return {**made, "error": None, "seed_values": [] if value is None else [value], **changes}


@pytest.fixture
def make_sweep(tmp_path: Path) -> Callable[..., Path]:
    """`make_sweep(trials)`: a sweep's folder that is still running."""

    def make(trials: list[dict[str, Any]]) -> Path:
        folder = tmp_path / "sweep <b>"
        folder.mkdir()
        search = {"optimizer.learning_rate": {"loguniform": [1e-4, 1e-1]}, "model.fusion": {"choice": ["max", "mean"]}}
        values = {
            "model": {"name": "dualgnn"},
            "train": {"metric": "ndcg@10"},
            "search": search,
            "sweep": {"trials": 9},
        }
        (folder / "sweep.yaml").write_text(yaml.safe_dump(values))
        (folder / "trials.jsonl").write_text("".join(json.dumps(one) + "\n" for one in trials))
        return folder

    return make


def test_the_page_of_a_running_sweep(make_sweep: Callable[..., Path]) -> None:
    failed = trial(3, None, "failed", error=HOSTILE)
    folder = make_sweep([trial(0, 0.1), trial(1, 0.4), trial(2, 0.9, "stopped"), failed])
    with (folder / "trials.jsonl").open("a") as file:
        file.write('{"number": 4, ')
    text = sweep_page(read_sweep(folder))
    assert is_harmless(text) and "&lt;script&gt;alert" in text
    for said in (
        "Unfinished",
        "4 of 9",
        "best ndcg@10",
        "0.4000",
        "Failures",
        "1 line of the trials",
        "best so far",
        "Pareto front",
    ):
        assert said in text, said
    assert ">0.01</text>" in text, "three decades of learning rates stand on a logarithmic axis"
    best = re.search(r'<tr class="best">(.*?)</tr>', text)
    assert best and "0.4000" in best[1], "a stopped trial does not win where one ran to its end"


def test_the_page_of_a_sweep_that_ended(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep([trial(0)])
    (folder / "best.yaml").write_text("model: {name: dualgnn}  # <best>\n")
    metrics = {"ndcg@10": 0.25, "num_users": 3.0}
    winner = {"number": 0, "params": {}, "validation": metrics, "test": metrics, "run_folder": "trials/gone"}
    (folder / "winner.json").write_text(json.dumps(winner))
    (folder / "importance.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "parallel.png").write_bytes(b"<script>")
    text = sweep_page(read_sweep(folder))
    assert is_harmless(text) and "Unfinished" not in text and "&lt;best&gt;" in text
    assert "0.2500" in text and "Without confidence intervals" in text and text.count("<img") == 1
    (folder / "winner.json").write_text('{"number": 0}')
    with pytest.raises(UserError, match=r"winner\.json is damaged"):
        read_sweep(folder)


def test_a_sweep_without_trials_has_a_page(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep([])
    assert "No trial has ended yet" in sweep_page(read_sweep(folder))
    (folder / "trials.jsonl").unlink()
    assert "No trial has ended yet" in sweep_page(read_sweep(folder))
    (folder / "trials.jsonl").write_text("x\ny\n")
    with pytest.raises(UserError, match="none of its 2 lines"):
        read_sweep(folder)


@pytest.mark.parametrize("state", ["stopped", "failed"])
def test_a_sweep_in_which_nothing_ran_to_its_end_has_a_page(make_sweep: Callable[..., Path], state: str) -> None:
    value = 0.2 if state == "stopped" else None
    assert is_harmless(sweep_page(read_sweep(make_sweep([trial(0, value, state), trial(1, None, "failed")]))))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=9))
def test_the_pareto_front_holds_what_nothing_beats(pairs: list[tuple[int, int]]) -> None:
    trials = [Trial(n, {}, "complete", float(v), 1, float(s), None, ()) for n, (v, s) in enumerate(pairs)]
    beaten = {(v, s) for v, s in pairs for w, t in pairs if w >= v and t <= s and (w, t) != (v, s)}
    assert {(one.value, one.seconds) for one in pareto(trials)} == set(pairs) - beaten


def test_the_verb_refuses_what_is_no_folder(tmp_path: Path) -> None:
    for option in ("--run", "--sweep"):
        with pytest.raises(UserError, match="there is no such folder"):
            report.main([option, str(tmp_path / "none")])
        with pytest.raises(UserError, match="it has no"):
            report.main([option, str(tmp_path)])


def test_a_click_on_a_heading_is_all_that_runs(make_sweep: Callable[..., Path]) -> None:
    text = sweep_page(read_sweep(make_sweep([trial(0)])))
    script = text.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#x27;sha256-{digest}&#x27;" in text and "default-src &#x27;none&#x27;" in text


def test_the_verb_writes_one_file(make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_run()
    report.main(["--run", str(folder)])
    assert str(folder / "report.html") in capsys.readouterr().out and (folder / "report.html").is_file()
    with pytest.raises(UserError, match="must be the name of a page"):
        report.main(["--run", str(folder), "--output", str(folder / "config.yaml")])
    (folder / "taken.html").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        report.main(["--run", str(folder), "--output", str(folder / "taken.html")])
