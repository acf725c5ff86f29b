import math

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.evaluation.metrics import NAMES, MetricKey, by_k, headline, means, metric_keys, sums, user_metrics

KS = (1, 5, 10, 20)


def one_user(ranked, held, k, convention):
    """The slow twin: one list, one user, the definitions written out."""
    hits = [item in held for item in ranked[:k]]
    ranks = [rank for rank, hit in enumerate(hits, start=1) if hit]
    if not ranks:
        return dict.fromkeys(NAMES, 0.0)
    on_top = min(k, len(held)) if convention == "standard" else len(ranks)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, on_top + 1))
    return {
        "precision": len(ranks) / k,
        "recall": len(ranks) / len(held),
        "ndcg": sum(1 / math.log2(rank + 1) for rank in ranks) / ideal,
        "hitrate": 1.0,
        "map": sum(sum(hits[:rank]) / rank for rank in ranks) / min(k, len(held)),
        "mrr": 1 / ranks[0],
    }


def random_lists(rng, num_users=40, num_items=60, length=20):
    """Ranked lists (some cut short by -1) and held-out items (some users without)."""
    ranked = np.array([rng.permutation(num_items)[:length] for _ in range(num_users)], dtype=np.int32)
    ranked[rng.integers(0, length, num_users)[:, None] + length // 2 < np.arange(length)] = -1
    held = [sorted(rng.choice(num_items, rng.integers(0, 30), replace=False).tolist()) for _ in range(num_users)]
    held[0] = []
    return ranked, held


def as_rows(held):
    return np.cumsum([0, *map(len, held)]), np.array([item for row in held for item in row], dtype=np.int32)


@pytest.mark.parametrize("convention", ["standard", "dualgnn"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_equals_a_loop_over_users(convention, seed):
    ranked, held = random_lists(np.random.default_rng(seed))
    metrics = user_metrics(ranked, as_rows(held), KS, convention)
    assert list(metrics) == metric_keys(KS) and all(values.dtype == np.float64 for values in metrics.values())
    for user, items in enumerate(held):
        for k in KS:
            expected = one_user(ranked[user].tolist(), set(items), k, convention) if items else {}
            for name in NAMES:
                assert metrics[f"{name}@{k}"][user] == pytest.approx(expected.get(name, np.nan), rel=1e-12, nan_ok=True)


def test_equals_pytrec_eval():
    ranked, held = random_lists(np.random.default_rng(1))
    evaluated = [user for user, items in enumerate(held) if items]
    qrel = {str(user): {str(item): 1 for item in held[user]} for user in evaluated}
    metrics = user_metrics(ranked, as_rows(held), KS)
    names = {"precision": "P", "recall": "recall", "ndcg": "ndcg_cut", "hitrate": "success"}
    for k in KS:
        run = {
            str(user): {str(item): float(-rank) for rank, item in enumerate(ranked[user, :k].tolist()) if item >= 0}
            for user in evaluated
        }
        asked = {f"{name}.{k}" for name in [*names.values(), "map_cut"]} | {"recip_rank"}
        theirs = pytrec_eval.RelevanceEvaluator(qrel, asked).evaluate(run)
        for user in evaluated:
            result = theirs[str(user)]
            for ours, name in names.items():
                assert metrics[f"{ours}@{k}"][user] == pytest.approx(result[f"{name}_{k}"], rel=1e-12), (ours, k)
            assert metrics[f"mrr@{k}"][user] == pytest.approx(result["recip_rank"], rel=1e-12)
            # trec_eval divides by |held out| even where the list is too short to hold them all
            scale = len(held[user]) / min(k, len(held[user]))
            assert metrics[f"map@{k}"][user] == pytest.approx(result[f"map_cut_{k}"] * scale, rel=1e-12)


def test_the_two_ndcg_conventions_by_hand():
    ranked, held_out = np.array([[7, 1, 2, 3, 4]], dtype=np.int32), as_rows([[7, 8, 9]])
    # One hit, on top, of three held-out items: 1 / (1 + 1/log2(3) + 1/log2(4)).
    assert user_metrics(ranked, held_out, (5,))["ndcg@5"][0] == pytest.approx(0.469, abs=5e-4)
    assert user_metrics(ranked, held_out, (5,), "dualgnn")["ndcg@5"][0] == 1.0


def test_sums_over_disjoint_users_add_up_to_the_mean_of_all():
    ranked, held = random_lists(np.random.default_rng(2))
    whole = sums(user_metrics(ranked, as_rows(held), KS))
    parts = [
        sums(user_metrics(ranked[part], as_rows(held[part]), KS)) for part in (slice(0, 1), slice(1, 25), slice(25, 40))
    ]
    assert parts[0]["num_users"] == 0 and whole["num_users"] == sum(bool(items) for items in held)
    added = {key: sum(part[key] for part in parts) for key in whole}
    assert added == pytest.approx(whole, rel=1e-12)
    recalls = [
        one_user(ranked[user].tolist(), set(items), 10, "standard")["recall"]
        for user, items in enumerate(held)
        if items
    ]
    assert means(added)["recall@10"] == pytest.approx(np.mean(recalls), rel=1e-12)
    assert list(means(added)) == metric_keys(KS)


def test_nothing_held_out_is_refused():
    with pytest.raises(UserError, match=r"no user has a held-out item.*choose a split"):
        means(sums(user_metrics(np.zeros((2, 5), dtype=np.int32), as_rows([[], []]), (5,))))


def test_keys_are_cut_and_put_together_in_one_place():
    assert [str(MetricKey.parse(key)) for key in metric_keys(KS)] == metric_keys(KS)
    values = {"recall@5": 0.5, "recall@20": 0.7, "ndcg@5": 0.3, "num_users": 9.0, "ndcg@20": 0.4}
    assert by_k(values) == {5: {"recall": 0.5, "ndcg": 0.3}, 20: {"recall": 0.7, "ndcg": 0.4}}
    assert headline("recall@20") == ["recall@20", "ndcg@20"] and headline("map@5") == ["map@5", "recall@5", "ndcg@5"]
