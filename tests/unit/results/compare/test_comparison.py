"""Comparisons: statistics as by hand, seeds of one setting in one row, and refusals where numbers would mislead."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from scipy import stats

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation import representations
from dualgnn_dist.evaluation.evaluate import evaluate
from dualgnn_dist.evaluation.metrics import user_metrics
from dualgnn_dist.evaluation.representations import Representations
from dualgnn_dist.results.compare.comparison import compare, groups_of, per_user
from dualgnn_dist.results.compare.paired_tests import holm, measure, paired
from dualgnn_dist.results.compare.text import notes, p_value, short, table_of
from dualgnn_dist.results.explain.communities import communities_of, share_between
from dualgnn_dist.results.finished_run import FinishedRun, read_learned, read_run
from dualgnn_dist.training.load import load

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path, demo_store: Store) -> MakeRun:
    """`make_run("a", seed=2, workers=2, settings=[..])`: the folder of a run that was never trained: random vectors."""

    def make(name: str, seed: int = 1, workers: int = 1, settings: tuple[str, ...] = (), **changed: Any) -> Path:
        file, folder = tmp_path / "config.yaml", tmp_path / "runs" / name
        file.write_text(yaml.safe_dump({"data": {"store": str(demo_store.path)}, "model": {"name": "lightgcn"}}))
        config = load(file, [f"run.name={name}", f"run.seed={seed}", *settings])
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(config.to_yaml())
        generator = np.random.default_rng([seed, len(settings)])
        users, items = (
            generator.standard_normal((number, 4)).astype(np.float32)
            for number in (demo_store.manifest.num_users, demo_store.manifest.num_items)
        )
        for rank in range(workers):
            rows = np.arange(rank, len(users), workers)
            path = folder / "representations" / f"users-{rank:05d}-of-{workers:05d}.arrow"
            representations.write(
                path, rows, demo_store.ids("users", rows), users[rows], {"weight_visual": users[rows, 0]}
            )
        rows = np.arange(len(items))
        representations.write(folder / "representations" / "items.arrow", rows, demo_store.ids("items"), items)
        given = Representations(torch.arange(len(users)), torch.from_numpy(users), torch.from_numpy(items))
        ks, convention = config.evaluation.ks, config.evaluation.ndcg_convention
        valid, test = (evaluate(given, demo_store, split, ks, convention, World()) for split in ("valid", "test"))  # type: ignore[arg-type]
        facts = {"validation": valid, "test": test, "num_workers": workers}
        facts["store"] = {"path": str(demo_store.path), "fingerprint": demo_store.manifest.fingerprint}
        (folder / "metrics.json").write_text(json.dumps({**facts, **changed}))
        return folder

    return make


def runs(*folders: Path) -> list[FinishedRun]:
    return [read_run(folder) for folder in folders]


# The statistics.


def test_the_tests_are_those_of_scipy_on_the_users_means() -> None:
    generator = np.random.default_rng(3)
    first, second = generator.random((3, 80)), generator.random((2, 80)) + 0.1
    found = measure({"first": list(first), "second": list(second)}, "first")
    means, others = first.mean(0), second.mean(0)
    student, signed = stats.ttest_rel(others, means), stats.wilcoxon(others, means)
    against = found["second"].against
    assert against is not None and found["first"].against is None
    assert against.p_t == pytest.approx(student.pvalue, rel=1e-6) and against.p_t < 0.2
    assert against.p_wilcoxon == pytest.approx(signed.pvalue, rel=1e-6)
    assert against.difference == pytest.approx(np.mean(others - means))
    margin = stats.t.ppf(0.975, 79) * np.std(others - means, ddof=1) / np.sqrt(80)
    assert (against.low, against.high) == pytest.approx((against.difference - margin, against.difference + margin))
    assert found["first"].seeds == pytest.approx(first.mean(1))
    assert found["first"].deviation == pytest.approx(np.std(first.mean(1), ddof=1))
    assert found["second"].p_t_holm == against.p_t, "one comparison needs no correction"


def test_one_seed_has_no_deviation() -> None:
    found = measure({"a": [np.array([0.0, 1.0])], "b": [np.array([1.0, 1.0])]}, "a")
    assert found["a"].deviation is None and found["a"].mean == 0.5


@pytest.mark.parametrize(
    ("p", "corrected"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # 3 x .01; 2 x .03; .04 is not below its predecessor's .06
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.2], [0.2]),
        ([], []),
    ],
)
def test_holm_by_hand(p: list[float], corrected: list[float]) -> None:
    assert holm(p) == pytest.approx(corrected)


def test_p_is_corrected_over_the_rows() -> None:
    generator = np.random.default_rng(1)
    values = {label: [generator.random(50) + shift] for label, shift in (("a", 0), ("b", 0.08), ("c", 0.1), ("d", 0.3))}
    found = measure(values, "a")
    raw = [found[label].against.p_t for label in "bcd"]  # type: ignore[union-attr]
    assert [found[label].p_t_holm for label in "bcd"] == pytest.approx(holm(raw))
    assert found["d"].p_t_holm == pytest.approx(3 * min(raw))
    assert found["a"].p_t_holm is None


def test_what_is_equal_but_for_rounding_does_not_differ() -> None:
    values = np.array([0.1, 0.2, 0.7, 0.3])
    same = measure({"one": [values], "three": [values, values, values]}, "one")["three"].against
    assert same is not None and (same.difference, same.p_t, same.p_wilcoxon) == (0.0, 1.0, 1.0)
    assert paired(np.zeros(5)).p_wilcoxon == 1.0
    assert paired(np.full(30, 0.5)).p_t == 0.0  # t is infinite


# What is one row.


def test_seeds_are_one_row_and_settings_tell_rows_apart(make_run: MakeRun) -> None:
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


def test_a_setting_that_one_of_the_groups_does_not_have(make_run: MakeRun) -> None:
    hidden = make_run("hidden", settings=("data.drop_modality={share: 0.5}",))
    labels = [group.label for group in groups_of(runs(make_run("all"), hidden))]
    assert labels[0] == "lightgcn data.drop_modality=null"
    assert labels[1].startswith("lightgcn data.drop_modality.share=0.5 ")


def test_a_seed_twice_is_refused(make_run: MakeRun) -> None:
    folders = make_run("a"), make_run("b", settings=("resources.num_workers=0",))
    with pytest.raises(UserError, match=r"a and .*b are the same run twice: .*seed 1; leave one out"):
        compare(runs(*folders), ["recall@20"])


# The whole comparison.


@pytest.mark.parametrize("split", ["valid", "test"])
def test_users_are_measured_as_in_a_plain_evaluation(make_run: MakeRun, demo_store: Store, split: Any) -> None:
    (run,) = runs(make_run("a", workers=3))
    learned = read_learned(run, demo_store)
    found = per_user(run, learned, demo_store, ["recall@5", "ndcg@20"], split, "all")
    offsets, held_out = demo_store.held_out(split, np.arange(demo_store.manifest.num_users, dtype=np.int32))
    seen = [set(demo_store.user_item.row(user).tolist()) for user in range(len(learned.users))]
    if split == "test":
        valid = demo_store.interactions("valid")
        for user, item in zip(valid.users.to_numpy().tolist(), valid.items.to_numpy().tolist(), strict=True):
            seen[user].add(item)
    ranked = np.full((len(seen), 20), -1, dtype=np.int32)
    for user, scores in enumerate(learned.users.astype(float) @ learned.items.T.astype(float)):
        order = [item for item in np.argsort(-scores) if item not in seen[user]][:20]
        ranked[user, : len(order)] = order
    expected = user_metrics(ranked, (offsets, held_out), (5, 20))
    for metric, values in found.items():
        assert values == pytest.approx(expected[metric][np.diff(offsets) > 0])
        assert 0 < values.mean() < 1


def test_rows_are_ordered_and_tested_against_the_best_or_the_named(make_run: MakeRun) -> None:
    given = runs(make_run("a1", 1), make_run("a2", 2), make_run("b1", 1, settings=("model.name=bpr_mf",)))
    found = compare(given, ["recall@20", "ndcg@10"])
    means = [row.metrics["recall@20"].mean for row in found.rows]
    assert means == sorted(means, reverse=True) and means[0] != means[1]
    assert found.baseline == found.rows[0].group.label and found.chosen
    assert found.rows[0].metrics["ndcg@10"].against is None and found.rows[1].metrics["ndcg@10"].against is not None
    (lightgcn,) = (row for row in found.rows if row.group.label == "lightgcn")
    assert lightgcn.metrics["recall@20"].seeds == pytest.approx(
        [r.metrics["test"]["all"]["recall@20"] for r in given[:2]]
    )
    other = found.rows[1].group
    for name in (other.label, other.runs[0].folder.name):
        named = compare(given, ["recall@20"], baseline=name)
        assert named.baseline == other.label and not named.chosen
        assert named.rows[1].metrics["recall@20"].against is None
    with pytest.raises(UserError, match=r"--baseline 'lightgnc' is no row of the comparison; did you mean 'lightgcn'?"):
        compare(given, ["recall@20"], baseline="lightgnc")


def test_the_table_shows_corrected_p(make_run: MakeRun) -> None:
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


def test_one_row_is_not_tested(make_run: MakeRun) -> None:
    (row,) = compare(runs(make_run("a1", 1), make_run("a2", 2)), ["recall@20"]).rows
    assert row.metrics["recall@20"].against is None and row.metrics["recall@20"].deviation is not None


# What is refused.


def test_runs_that_cannot_be_compared(make_run: MakeRun) -> None:
    good = make_run("good")
    elsewhere = make_run("elsewhere", 2, store={"path": "x", "fingerprint": "beef" * 8})
    other_ndcg = make_run("ndcg", 2, settings=("evaluation.ndcg_convention=dualgnn",))
    test = read_run(good).metrics["test"]["all"]
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
def test_a_metric_that_was_not_computed(make_run: MakeRun, metric: str) -> None:
    with pytest.raises(UserError, match=rf"good has no test metric '{metric}'; (did you mean 'recall@20'|known are)"):
        compare(runs(make_run("good")), ["ndcg@20", metric])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"metrics.json is damaged \(Expecting"),
        ("[]", "metrics.json is damaged"),
        ('{"test": {}}', r"is damaged \(it has no 'validation'\)"),
        ('{"test": 1, "validation": {}, "store": {"fingerprint": "x"}, "num_workers": 1}', "must be a mapping"),
        ('{"test": {"a": "b"}, "validation": {}, "store": {"fingerprint": "x"}, "num_workers": 1}', "must be a number"),
        ('{"test": {}, "validation": {}, "store": {"fingerprint": "x"}, "num_workers": "2"}', "a whole number"),
        ('{"test": {}, "validation": {}, "store": 3, "num_workers": 2}', "is damaged"),
    ],
)
def test_damaged_metrics(make_run: MakeRun, text: str, message: str) -> None:
    folder = make_run("good")
    (folder / "metrics.json").write_text(text)
    with pytest.raises(UserError, match=message) as error:
        read_run(folder)
    assert "finish the run again with `train --resume`" in str(error.value)


def test_folders_that_are_no_finished_runs(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere is not the folder of a run: there is no such folder; give"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"is not the folder of a run: it has no config.yaml"):
        read_run(tmp_path)
    folder = make_run("unfinished")
    (folder / "metrics.json").unlink()
    with pytest.raises(UserError, match=r"unfinished is no finished run: it has no metrics.json; finish it with"):
        read_run(folder)


def test_representations_that_are_not_those_of_the_run(make_run: MakeRun, demo_store: Store) -> None:
    run = read_run(make_run("good", workers=2))
    folder = run.folder / "representations"
    second = folder / "users-00001-of-00002.arrow"
    whole = second.read_bytes()
    second.with_name("users-00000-of-00001.arrow").write_bytes(b"of an earlier finish")
    learned = read_learned(run, demo_store)
    assert learned.columns["weight_visual"].tolist() == learned.users[:, 0].tolist()
    second.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"users-00001-of-00002.arrow is damaged .*finish the run again"):
        read_learned(run, demo_store)
    second.write_bytes((folder / "users-00000-of-00002.arrow").read_bytes())
    with pytest.raises(UserError, match=r"representations is damaged \(its files do not belong together\)"):
        read_learned(run, demo_store)
    second.unlink()
    with pytest.raises(UserError, match=r"users-00001-of-00002.arrow is missing; finish the run again"):
        read_learned(run, demo_store)
    folder.rename(folder.with_name("moved"))
    with pytest.raises(UserError, match=r"good has no folder representations; finish the run again"):
        read_learned(run, demo_store)


def test_vectors_of_another_run(make_run: MakeRun) -> None:
    first, second = make_run("first", 1), make_run("second", 2)
    (second / "representations").rename(second / "old")
    (first / "representations").rename(second / "representations")
    with pytest.raises(
        UserError, match=r"second give recall@20 0\.\d+, its metrics.json says 0\.\d+: they are not of one"
    ):
        compare(runs(second), ["recall@20"])


def test_vectors_that_are_not_finite(make_run: MakeRun, demo_store: Store) -> None:
    run = read_run(make_run("good"))
    items = run.folder / "representations" / "items.arrow"
    rows, ids, vectors, _ = representations.read(items)
    representations.write(items, np.array(rows), ids, np.where(vectors > 0, vectors, np.nan))
    with pytest.raises(UserError, match="holds numbers that are not finite: the run diverged"):
        read_learned(run, demo_store)


def test_a_store_that_is_gone_or_another(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run("good", settings=(f"data.store={tmp_path / 'gone'}",))
    with pytest.raises(UserError, match=r"gone is not a store or an unfinished one: there is no such folder; make one"):
        compare(runs(folder), ["recall@20"])
    changed = make_run("changed", store={"path": "x", "fingerprint": "beef" * 8})
    with pytest.raises(UserError, match=r"is not the one that .*changed was trained on .*the run's beefbeef"):
        compare(runs(changed), ["recall@20"])


# Communities, for `explain`.


def test_communities_are_directions_and_the_largest_comes_first() -> None:
    generator = np.random.default_rng(5)
    centres = np.eye(4, dtype=np.float32)
    truth = np.repeat([2, 0, 3, 1], [50, 30, 20, 10])
    vectors = (centres[truth] + 0.05 * generator.standard_normal((110, 4))) * generator.uniform(0.1, 9, (110, 1))
    found = communities_of(vectors.astype(np.float32), 4, seed=1)
    assert np.bincount(found).tolist() == [50, 30, 20, 10]
    assert len(set(zip(truth.tolist(), found.tolist(), strict=True))) == 4
    assert (found == communities_of(vectors.astype(np.float32), 4, seed=1)).all()


@pytest.mark.filterwarnings("error")  # k-means++ divides by zero when it is asked for more centres than points
def test_no_more_communities_than_directions() -> None:
    vectors = np.array([[1, 0], [2, 0], [0, 1], [0, 0]], dtype=np.float32)
    assert sorted(np.bincount(communities_of(vectors, 4, seed=1)).tolist()) == [1, 1, 2]


def test_the_share_between_communities() -> None:
    communities = np.array([0, 0, 1, 1])
    assert share_between(np.array([1.0, 1.0, 3.0, 3.0]), communities) == pytest.approx(1)
    assert share_between(np.array([1.0, 3.0, 1.0, 3.0]), communities) == pytest.approx(0)
    assert share_between(np.array([0.0, 2.0, 2.0, 4.0]), communities) == pytest.approx(0.5)
    assert share_between(np.ones(4), communities) == 0
