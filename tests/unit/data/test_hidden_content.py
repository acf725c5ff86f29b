"""Hidden content: which items, in which modalities, and that a store hides it from everything that reads it."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
import torch

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.hidden_content import DropModality
from dualgnn_dist.data.store.reader import Store

ITEMS = np.arange(20_000, dtype=np.int32)


def test_a_share_of_the_items_and_a_larger_one_hides_more() -> None:
    hidden = [DropModality(share=share)("visual", ITEMS) for share in (0.0, 0.1, 0.5, 0.9, 1.0)]
    assert [mask.mean() for mask in hidden] == pytest.approx([0, 0.1, 0.5, 0.9, 1], abs=0.02)
    assert not hidden[0].any() and hidden[-1].all()
    for less, more in itertools.pairwise(hidden):
        assert (more | ~less).all(), "an item came back at a larger share"


def test_any_hides_modalities_independently_and_a_name_hides_one() -> None:
    visual, acoustic = (DropModality(share=0.5)(name, ITEMS) for name in ("visual", "acoustic"))
    assert (visual & acoustic).mean() == pytest.approx(0.25, abs=0.02)
    named = DropModality(share=0.5, modality="visual")
    np.testing.assert_array_equal(named("visual", ITEMS), visual)
    assert not named("acoustic", ITEMS).any()


def test_an_item_is_hidden_whatever_is_asked_beside_it() -> None:
    drop, order = DropModality(share=0.3, seed=4), np.random.default_rng(0).permutation(ITEMS)
    np.testing.assert_array_equal(drop("visual", order), drop("visual", ITEMS)[order])
    np.testing.assert_array_equal(drop("visual", order.astype(np.int64)), drop("visual", order))
    assert (DropModality(share=0.3, seed=5)("visual", ITEMS) != drop("visual", ITEMS)).any()


@pytest.mark.parametrize(("change", "message"), [({"share": 1.5}, r"share=1.5 must lie in"), ({"seed": -1}, "seed=-1")])
def test_refusals(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DropModality(**{"share": 0.5, **change})


def test_a_store_hides_it_from_all_that_read_features(demo_store: Store) -> None:
    drop = DropModality(share=0.6, seed=2)
    hiding = Store.open(demo_store.path, drop)
    items = np.arange(demo_store.manifest.num_items, dtype=np.int32)
    for name in ("visual", "acoustic"):
        whole, left = (store.features(name).gather(items) for store in (demo_store, hiding))
        kept = torch.from_numpy(~drop(name, items))
        assert 0 < left.present.sum() < whole.present.sum()
        torch.testing.assert_close(left.present, whole.present & kept, rtol=0, atol=0)
        torch.testing.assert_close(left.values, whole.values * kept[:, None], rtol=0, atol=0)
    whole, left = (store.features("textual").gather(items) for store in (demo_store, hiding))
    kept = torch.from_numpy(~drop("textual", items))
    torch.testing.assert_close(left.present, whole.present & kept, rtol=0, atol=0)
    for item in items:
        words = whole.tokens[whole.offsets[item] : whole.offsets[item + 1]].tolist() if kept[item] else []
        assert left.tokens[left.offsets[item] : left.offsets[item + 1]].tolist() == words


def test_it_travels_with_a_pickled_store_and_leaves_the_store_alone(demo_store: Store) -> None:
    hiding = pickle.loads(pickle.dumps(Store.open(demo_store.path, DropModality(share=1.0))))
    items = np.arange(demo_store.manifest.num_items, dtype=np.int32)
    assert not hiding.features("visual").gather(items).present.any()
    assert Store.open(demo_store.path).features("visual").gather(items).present.any()
    assert hiding.manifest.fingerprint == demo_store.manifest.fingerprint
    hiding.verify()


def test_a_modality_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match=r"modality='visuel' is neither 'any' nor .* did you mean 'visual'\?"):
        DropModality(share=0.5, modality="visuel").refuse_unknown_modality({"visual": None, "acoustic": None})
