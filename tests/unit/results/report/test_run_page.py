"""The page of a run, finished or not, from files made here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.results.report.run_page import again, run_page
from dualgnn_dist.results.report.time_and_memory import spent, total_seconds
from dualgnn_dist.results.run_record import RunRecord
from tests.unit.results.report.elements import is_harmless

HOSTILE = """</title></style></script><script>alert("1")</script><img src=x onerror='alert(2)'>&"""


def test_the_page_of_a_finished_run(make_demo_run: Callable[..., Path]) -> None:
    text = run_page(RunRecord.read(make_demo_run()))
    assert is_harmless(text)
    for said in (
        "Test metrics", "±", "confidence interval over users", "training loss", "validation recall", "Memory",
        "waiting for batches 2 s (20.0%)", "everything else 0.5 s (5.0%)", "worker 0", "worker 1", "1.00 GiB",
        "Modality weights by community", "items that miss a modality", "hides the content of visual for 30%",
        "max_co_users: 40", "run.name=demo_again", "torch",
    ):  # fmt: skip
        assert said in text, said


def test_the_page_of_an_unfinished_run(make_demo_run: Callable[..., Path]) -> None:
    folder = make_demo_run(finished=False)
    with (folder / "history.jsonl").open("a") as file:
        file.write('{"epoch": 4, "train')  # being written
    text = run_page(RunRecord.read(folder))
    assert is_harmless(text) and "Unfinished: 1 of at most 4 epochs" in text and "--resume" in text
    assert "Of epoch 1, the best so far" in text, "the first of equals"
    assert "Test metrics" not in text and "items that miss a modality" in text
    (folder / "history.jsonl").unlink()
    assert "No epoch has ended yet" in run_page(RunRecord.read(folder))


def test_an_unfinished_run_has_the_sizes_of_a_store_at_a_url(
    make_demo_run: Callable[..., Path], demo_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "cache"))
    url = Path(shutil.copytree(demo_store.path, tmp_path / "there")).as_uri()
    text = run_page(RunRecord.read(make_demo_run(finished=False, store=url)))
    assert "is not there" not in text and "items that miss a modality" in text
    assert f"<dt>train interactions</dt><dd>{demo_store.manifest.num_interactions['train']:,}</dd>" in text


def test_without_its_store_a_run_has_no_intervals(make_demo_run: Callable[..., Path]) -> None:
    text = run_page(RunRecord.read(make_demo_run(store="/nowhere")))
    assert "Without confidence intervals" in text and "±" not in text and "Test metrics" in text
    assert "The store /nowhere is not there" in text


def test_a_hostile_name_stays_a_text(make_demo_run: Callable[..., Path]) -> None:
    text = run_page(RunRecord.read(make_demo_run(name=HOSTILE.replace("/", "|"), versions={HOSTILE: HOSTILE})))
    assert is_harmless(text) and "<script>alert" not in text and "&lt;script&gt;alert" in text


def test_what_steers_a_terminal_or_turns_a_line_is_written_out(make_demo_run: Callable[..., Path]) -> None:
    text = run_page(RunRecord.read(make_demo_run(versions={"a\x1b[2J\x00": "\u202egnp.exe"})))
    assert "a\\x1b[2J\\x00" in text and "\\u202egnp.exe" in text
    assert all(letter.isprintable() or letter in "\n\t" for letter in text)


def test_damaged_vectors_cost_the_intervals_alone(make_demo_run: Callable[..., Path]) -> None:
    folder = make_demo_run()
    (folder / "representations" / "items.arrow").write_bytes(b"x")
    text = run_page(RunRecord.read(folder))
    assert "Without confidence intervals" in text and "Test metrics" in text


def test_the_command_is_one_that_a_shell_and_yaml_take_as_it_is() -> None:
    assert again("a b.yaml", "x_again") == "python -m dualgnn_dist.train --config 'a b.yaml' run.name=x_again"
    assert again("a.yaml", "1: 2").endswith("""'run.name="1: 2"'""")


def test_seconds_of_a_resumed_run_are_those_of_all_its_starts() -> None:
    assert total_seconds({"training": 500.0, "waiting": 9.0, "ranking": 5.0, "total": 100.0}) == 505
    assert total_seconds({"training": 50.0, "total": 100.0}) == 100
    assert [spent(seconds) for seconds in (None, 0.123, 9.9, 3725)] == ["-", "0.12 s", "9.9 s", "1:02:05"]


def test_what_needs_no_training_stands_beside_the_metrics(make_demo_run: Callable[..., Path]) -> None:
    values = {"recall@10": 0.125, "ndcg@10": 0.0625}
    text = run_page(RunRecord.read(make_demo_run(baselines={"popularity": values}, beyond={"gini@10": 0.4321})))
    assert "Beyond accuracy" in text and "0.4321" in text
    assert text.count("Without training, by popularity: recall@10 0.1250, ndcg@10 0.0625.") == 1


def test_a_run_of_before_tells_no_baseline(make_demo_run: Callable[..., Path]) -> None:
    assert "Without training" not in run_page(RunRecord.read(make_demo_run()))
