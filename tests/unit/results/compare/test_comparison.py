"""Comparisons: seeds of one setting in one row, rows tested against one, and refusals where numbers would mislead."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dualgnn_dist import compare as verb
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.results.compare.comparison import compare, groups_of
from dualgnn_dist.results.compare.text import folder_for, notes, p_value, short, table_of
from dualgnn_dist.results.finished_run import FinishedRun
from dualgnn_dist.training.load import load


def runs(*folders: Path) -> list[FinishedRun]:
    return [FinishedRun.read(folder) for folder in folders]


# What is one row.


def test_seeds_are_one_row_and_settings_tell_rows_apart(make_run: Callable[..., Path]) -> None:
    free = ("resources.num_workers=0", "sampler.threads=3", "checkpoint.every_steps=7")
    found = groups_of(
        runs(
            make_run("a2", 2),
            make_run("a1", 1, settings=free),
            make_run("wide", 1, settings=("model.width=128", "sampler.fanouts=[9, 4]")),
            make_run("bpr", 1, settings=("model.name=bpr_mf", "train.patience=9")),
        )
    )
    first = load(make_run("again") / "config.yaml")
    assert first.sampler.fanouts != (9, 4)
    usual = json.dumps(first.sampler.fanouts, separators=(",", ":")).strip('"')
    assert {group.label: [run.config.run.seed for run in group.runs] for group in found} == {
        f"lightgcn model.width=64 sampler.fanouts={usual}": [1, 2],
        "lightgcn model.width=128 sampler.fanouts=[9,4]": [1],
        "bpr_mf": [1],  # another patience than the others, but the only one of its model
    }


def test_a_setting_that_one_of_the_groups_does_not_have(make_run: Callable[..., Path]) -> None:
    hidden = make_run("hidden", settings=("data.drop_modality={share: 0.5}",))
    labels = [group.label for group in groups_of(runs(make_run("all"), hidden))]
    assert labels[0] == "lightgcn data.drop_modality=null"
    assert labels[1].startswith("lightgcn data.drop_modality.share=0.5 ")


def test_a_seed_twice_is_refused(make_run: Callable[..., Path]) -> None:
    folders = make_run("a"), make_run("b", settings=("resources.num_workers=0",))
    with pytest.raises(UserError, match=r"a and .*b are the same run twice: .*seed 1; leave one out"):
        compare(runs(*folders), ["recall@20"])


# The whole comparison.


def test_rows_are_ordered_and_tested_against_the_best_or_the_named(make_run: Callable[..., Path]) -> None:
    given = runs(make_run("a1", 1), make_run("a2", 2), make_run("b1", 1, settings=("model.name=bpr_mf",)))
    found = compare(given, ["recall@20", "ndcg@10"])
    means = [row.metrics["recall@20"].mean for row in found.rows]
    assert means == sorted(means, reverse=True) and means[0] != means[1]
    assert found.baseline == found.rows[0].group.label and found.baseline_is_best
    assert found.rows[0].metrics["ndcg@10"].against is None and found.rows[1].metrics["ndcg@10"].against is not None
    (lightgcn,) = (row for row in found.rows if row.group.label == "lightgcn")
    assert lightgcn.metrics["recall@20"].seeds == pytest.approx(
        [r.metrics["test"]["all"]["recall@20"] for r in given[:2]]
    )
    other = found.rows[1].group
    for name in (other.label, other.runs[0].folder.name):
        named = compare(given, ["recall@20"], baseline=name)
        assert named.baseline == other.label and not named.baseline_is_best
        assert named.rows[1].metrics["recall@20"].against is None
    with pytest.raises(UserError, match=r"--baseline 'lightgnc' is no row of the comparison; did you mean 'lightgcn'?"):
        compare(given, ["recall@20"], baseline="lightgnc")


def test_the_table_shows_corrected_p(make_run: Callable[..., Path]) -> None:
    names = ("lightgcn", "bpr_mf", "star_gcn", "lr_gccf")
    folders = [make_run(name, seed, settings=(f"model.name={name}",)) for seed, name in enumerate(names)]
    found = compare(runs(*folders), ["mrr@20"])
    differ = 0
    for row, cells in zip(found.rows, table_of(found).sections["mrr@20"], strict=True):
        measured = row.metrics["mrr@20"]
        assert cells[:3] == (row.group.label, "1", f"{measured.mean:.4f}"[1:])
        if measured.against is None:
            assert cells[3:] == ("baseline", "", "")
        else:
            assert cells[4:] == (p_value(measured.p_t_holm), p_value(measured.p_wilcoxon_holm))  # type: ignore[arg-type]
            differ += cells[4] != p_value(measured.against.p_t)
    assert differ
    assert "p is Holm-corrected over 3 comparisons" in " ".join(notes(found))


def test_numbers_are_written_short() -> None:
    assert [short(0.0893), short(-0.0012), short(0.5, "+"), short(1.0)] == [".0893", "-.0012", "+.5000", "1.0000"]
    assert [p_value(0.00009), p_value(0.0001), p_value(1.0)] == ["<.0001", ".0001", "1.0000"]


def test_one_row_is_not_tested(make_run: Callable[..., Path]) -> None:
    (row,) = compare(runs(make_run("a1", 1), make_run("a2", 2)), ["recall@20"]).rows
    assert row.metrics["recall@20"].against is None and row.metrics["recall@20"].deviation is not None


# What is refused.


def test_runs_that_cannot_be_compared(make_run: Callable[..., Path]) -> None:
    good = make_run("good")
    elsewhere = make_run("elsewhere", 2, store={"path": "x", "fingerprint": "beef" * 8})
    other_ndcg = make_run("ndcg", 2, settings=("evaluation.ndcg_convention=dualgnn",))
    test = FinishedRun.read(good).metrics["test"]["all"]
    warm = make_run("warm", 2, test_by_candidates={"warm": test})
    both = make_run("both", 3, test_by_candidates={"all": test, "warm": test})
    for other, message in (
        (elsewhere, r"good and .*elsewhere were trained on different stores \(fingerprints \w+ and beefbeef\)"),
        (other_ndcg, r"different conventions \(standard and dualgnn\); train them with the same evaluation.ndcg_conv"),
        (warm, r"good is judged by its ranking of all items, .*warm by that of warm items; they have none in common"),
    ):
        with pytest.raises(UserError, match=message):
            compare(runs(good, other), ["recall@20"])
    with pytest.raises(UserError, match=r"warm by that of warm items; compare .*: --candidates warm"):
        compare(runs(both, warm), ["recall@20"])
    with pytest.raises(UserError, match="good was not evaluated on 'warm' items; known are: all"):
        compare(runs(good, both), ["recall@20"], candidates="warm")
    assert compare(runs(good, both), ["recall@20"], candidates="all").candidates == "all"


@pytest.mark.parametrize("metric", ["recal@20", "recall@21", "num_users"])
def test_a_metric_that_was_not_computed(make_run: Callable[..., Path], metric: str) -> None:
    with pytest.raises(UserError, match=rf"good has no test metric '{metric}'; (did you mean 'recall@20'|known are)"):
        compare(runs(make_run("good")), ["ndcg@20", metric])


def test_vectors_of_another_run(make_run: Callable[..., Path]) -> None:
    first, second = make_run("first", 1), make_run("second", 2)
    (second / "representations").rename(second / "old")
    (first / "representations").rename(second / "representations")
    with pytest.raises(
        UserError, match=r"second give recall@20 0\.\d+, its metrics.json says 0\.\d+: they are not of one"
    ):
        compare(runs(second), ["recall@20"])


def test_a_store_that_is_gone_or_another(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run("good", settings=(f"data.store={tmp_path / 'gone'}",))
    with pytest.raises(UserError, match=r"gone is not a store or an unfinished one: there is no such folder; make one"):
        compare(runs(folder), ["recall@20"])
    changed = make_run("changed", store={"path": "x", "fingerprint": "beef" * 8})
    with pytest.raises(UserError, match=r"is not the one that .*changed was trained on .*the run's beefbeef"):
        compare(runs(changed), ["recall@20"])


def test_runs_at_urls_are_compared_here(
    make_run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "cache"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    verb.main(["--runs", make_run("a", 1).as_uri(), str(make_run("b", 2, settings=("model.name=bpr_mf",)))])
    assert [path.name for path in here.iterdir()] == ["comparison"]
    assert (here / "comparison" / "comparison.png").is_file() and str(here / "comparison") in capsys.readouterr().out


def test_beside_the_runs_is_where_their_folders_meet(make_run: Callable[..., Path], tmp_path: Path) -> None:
    first, second = runs(make_run("a", 1), make_run("b", 2))
    assert folder_for(["a", "b"], [first, second], None) == tmp_path / "runs" / "comparison"
    assert folder_for(["a"], [first], str(tmp_path / "x")) == tmp_path / "x"
    with pytest.raises(UserError, match="a is the folder of a run; choose another folder with --output"):
        folder_for(["b"], [second], str(first.folder))
