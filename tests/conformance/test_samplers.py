"""What every draw of a hop keeps to, and what the sampler makes of the draws, against plain Python."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.base import randomness
from dualgnn_dist.base.batch import Subgraph
from dualgnn_dist.base.csr import ShardedCSR
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.randomness import HOPS, key
from dualgnn_dist.base.sparse import SparseRows, sparse_rows
from dualgnn_dist.sampling.draws import ALL, DRAWS, Draw, Drawn, Excluded, pyg_lib
from dualgnn_dist.sampling.draws.independent import IndependentDraw
from dualgnn_dist.sampling.draws.shared import SharedDraw
from dualgnn_dist.sampling.hops import NeighborSampler, Seeds, parse_fanouts

NUM_USERS, NUM_ITEMS = 31, 23
NO_PYG_LIB = pytest.mark.skipif(not pyg_lib.is_installed(), reason="pyg-lib is not installed")


def edges() -> tuple[np.ndarray, np.ndarray]:
    """Every density from isolated nodes (user 0, item 0) to a user with almost every item."""
    generator = np.random.default_rng(4)
    share = np.linspace(0, 0.95, NUM_USERS)[:, None]
    adjacency = generator.random((NUM_USERS, NUM_ITEMS)) < share
    adjacency[:, 0] = False
    users, items = np.nonzero(adjacency)
    return users.astype(np.int32), items.astype(np.int32)


def graphs() -> tuple[ShardedCSR, ShardedCSR]:
    users, items = edges()
    return ShardedCSR.from_pairs(users, items, NUM_USERS), ShardedCSR.from_pairs(items, users, NUM_ITEMS)


def in_shards(graph: ShardedCSR, rows_per_shard: int) -> ShardedCSR:
    offsets, neighbors = graph.gather(np.arange(graph.num_rows, dtype=np.int32))
    parts = []
    for start in range(0, graph.num_rows, rows_per_shard):
        bounds = offsets[start : start + rows_per_shard + 1]
        parts.append((bounds - bounds[0], neighbors[bounds[0] : bounds[-1]].copy()))
    return ShardedCSR(graph.num_rows, rows_per_shard, [part[0] for part in parts], [part[1] for part in parts])


def rows_of(drawn: Drawn) -> list[list[int]]:
    return [part.tolist() for part in np.split(drawn.neighbors, drawn.offsets[1:-1])]


@pytest.fixture(params=[pytest.param(name, marks=NO_PYG_LIB if name == "pyg_lib" else ()) for name in DRAWS])
def draw(request: pytest.FixtureRequest) -> Draw:
    return DRAWS[request.param](*graphs())


@pytest.mark.parametrize("side", ["users", "items"])
@pytest.mark.parametrize("fanout", [1, 2, 5, 12, 40, ALL])
def test_a_draw_is_a_scaled_subset_of_the_row(draw: Draw, side: str, fanout: int) -> None:
    graph = graphs()[side == "items"]
    targets = np.random.default_rng(1).permutation(graph.num_rows).astype(np.int32)
    drawn = draw(side, targets, fanout, np.uint64(2**63 + 5), 0)
    assert (drawn.offsets.dtype, drawn.neighbors.dtype, drawn.scale.dtype) == (np.int32, np.int32, np.float32)
    isolated = 0
    for target, row, scale in zip(targets, rows_of(drawn), drawn.scale, strict=True):
        available = graph.row(target).tolist()
        assert set(row) <= set(available)
        assert len(row) == len(set(row)) == (len(available) if fanout == ALL else min(fanout, len(available)))
        assert scale == (pytest.approx(len(available) / len(row)) if row else 0)
        isolated += not available
    assert isolated >= 1


@pytest.mark.parametrize("side", ["users", "items"])
def test_a_fanout_each_is_the_draw_of_that_fanout_for_all(draw: Draw, side: str) -> None:
    num_targets = graphs()[side == "items"].num_rows
    targets = np.random.default_rng(1).permutation(num_targets).astype(np.int32)
    fanouts = np.random.default_rng(2).choice([1, 2, 5, 12, ALL], num_targets).astype(np.int32)
    drawn = draw(side, targets, fanouts, np.uint64(5), 0)
    for fanout in np.unique(fanouts):
        (places,) = np.nonzero(fanouts == fanout)
        alone = draw(side, targets[places], int(fanout), np.uint64(5), 0)
        assert [rows_of(drawn)[place] for place in places] == rows_of(alone)
        assert drawn.scale[places].tolist() == alone.scale.tolist()


def test_no_targets_draw_nothing(draw: Draw) -> None:
    drawn = draw("users", np.empty(0, dtype=np.int32), 3, np.uint64(1), 0)
    assert drawn.offsets.tolist() == [0] and len(drawn.neighbors) == len(drawn.scale) == 0


@pytest.mark.parametrize("fanout", [1, 3, 9, 15])  # both ways of choosing: few of many, and most of a row
def test_draws_are_uniform(draw: Draw, fanout: int) -> None:
    user = NUM_USERS - 1
    row = graphs()[0].row(user)
    assert len(row) >= 16
    times = 3000
    counts = np.zeros(NUM_ITEMS)
    pairs = np.zeros((NUM_ITEMS, NUM_ITEMS))
    for step in range(times):
        (chosen,) = rows_of(draw("users", np.array([user], dtype=np.int32), fanout, key(1, 0, step, HOPS), 0))
        counts[chosen] += 1
        pairs[np.ix_(chosen, chosen)] += 1
    share = fanout / len(row)
    assert_as_expected(counts[row], times, share)
    if fanout > 1:  # every subset equally likely: pairs of neighbours come together as often as they should
        both = share * (fanout - 1) / (len(row) - 1)
        assert_as_expected(pairs[np.ix_(row, row)][np.triu_indices(len(row), 1)], times, both)


def assert_as_expected(counts: np.ndarray, times: int, share: float) -> None:
    """A chi-square with the variance of a share: about 1 a degree of freedom, and no count far out."""
    deviation = (counts - times * share) / np.sqrt(times * share * (1 - share))
    assert np.abs(deviation).max() < 5
    assert 0.2 < np.square(deviation).mean() < 2.5


def test_hops_keys_and_nodes_draw_apart(draw: Draw) -> None:
    users = np.arange(20, NUM_USERS, dtype=np.int32)
    first = draw("users", users, 4, np.uint64(7), 0).neighbors.tolist()
    assert first == draw("users", users, 4, np.uint64(7), 0).neighbors.tolist()
    assert first != draw("users", users, 4, np.uint64(7), 1).neighbors.tolist()
    assert first != draw("users", users, 4, np.uint64(8), 0).neighbors.tolist()


def test_pyg_lib_where_it_is_missing() -> None:
    if pyg_lib.is_installed():
        pytest.skip("pyg-lib is installed")
    with pytest.raises(UserError, match=r"sampler\.draws=pyg_lib needs .* use sampler\.draws=independent"):
        NeighborSampler(*graphs(), (3,), "pyg_lib")


# What follows holds for our own draws: they do not depend on what else is in the batch.


def slow_choose(count: int, n: int, node_key: np.uint64) -> list[int]:
    """Positions of a row, as they were drawn from the first version on: another choice is another batch."""

    def below(word: int, end: int) -> int:
        return randomness.below(np.uint64(randomness.mix(node_key, word)), end)

    if count == n:
        return list(range(n))
    if count * count > 4 * n:
        chosen: list[int] = []
        for position in range(n):
            if len(chosen) < count and below(position, n - position) < count - len(chosen):
                chosen.append(position)
        return chosen
    chosen = []
    for drawn in range(count):
        last = n - count + drawn
        candidate = below(drawn, last + 1)
        chosen.append(last if candidate in chosen else candidate)
    return chosen


@pytest.mark.parametrize("fanout", [1, 2, 5, 12, 40, ALL])
def test_a_draw_equals_a_loop(fanout: int) -> None:
    item_user = ShardedCSR.from_pairs(*(np.indices((200, 200)).reshape(2, -1).astype(np.int32)), 200)
    wide = IndependentDraw(item_user, item_user)
    for draw, (user_item, _) in ((IndependentDraw(*graphs()), graphs()), (wide, (item_user, item_user))):
        users = np.arange(user_item.num_rows, dtype=np.int32)[::-1].copy()  # more than one group of the wide graph
        hop_key = np.uint64(randomness.mix(np.uint64(2**63 + 5), 1))
        for user, row in zip(users, rows_of(draw("users", users, fanout, np.uint64(2**63 + 5), 1)), strict=True):
            whole = user_item.row(user).tolist()
            count = len(whole) if fanout == ALL else min(fanout, len(whole))
            positions = slow_choose(count, len(whole), np.uint64(randomness.mix(hop_key, user)))
            assert row == [whole[position] for position in positions]


def smallest_numbers(ids: list[int], count: int, hop_key: np.uint64) -> list[int]:
    def mix_32(word: int) -> int:
        word = (word ^ word >> 16) * 0x85EBCA6B % 2**32
        word = (word ^ word >> 13) * 0xC2B2AE35 % 2**32
        return word ^ word >> 16

    high, low = divmod(int(hop_key), 2**32)
    return ids if count >= len(ids) else sorted(ids, key=lambda id: mix_32(mix_32(id ^ low) ^ high))[:count]


@pytest.mark.parametrize("fanout", [1, 2, 5, 12, 40, 300, ALL])
def test_a_shared_draw_equals_a_loop(fanout: int) -> None:
    generator = np.random.default_rng(2)
    degrees = [0, 1, 5, 1023, 1024, 1025, 1200, 1201, 3000]  # a window is 1,024, or 1,200 for the fanout of 300
    users = np.repeat(np.arange(9), degrees)
    items = np.concatenate([generator.choice(4000, degree, replace=False) for degree in degrees])
    wide = ShardedCSR.from_pairs(users.astype(np.int32), items.astype(np.int32), 9)
    hop_key = np.uint64(randomness.mix(np.uint64(2**63 + 5), 1))
    window = max(1024, 4 * fanout)
    drawn = SharedDraw(wide, wide)("users", np.arange(9, dtype=np.int32), fanout, np.uint64(2**63 + 5), 1)
    for user, row in enumerate(rows_of(drawn)):
        seen = wide.row(user).tolist()
        if len(seen) > window and fanout != ALL:
            start = randomness.below(np.uint64(randomness.mix(hop_key, 2**40)), len(seen))
            seen = (seen + seen)[start : start + window]
        assert row == smallest_numbers(seen, len(wide.row(user)) if fanout == ALL else fanout, hop_key)


def test_a_long_row_is_drawn_uniformly_from_its_windows() -> None:
    row = np.arange(2000, dtype=np.int32) * 3
    draw = SharedDraw(ShardedCSR.from_arrays(np.array([0, 2000]), row), ShardedCSR.from_arrays(np.zeros(1), row[:0]))
    times, counts = 3000, np.zeros(2000)
    for step in range(times):
        counts[draw("users", np.zeros(1, dtype=np.int32), 100, key(1, 0, step, HOPS), 0).neighbors // 3] += 1
    assert_as_expected(counts, times, 100 / 2000)


def test_excluded_edges_of_a_long_row_are_never_drawn_shared() -> None:
    row = np.arange(2000, dtype=np.int32)
    draw = SharedDraw(ShardedCSR.from_arrays(np.array([0, 2000]), row), ShardedCSR.from_arrays(np.zeros(1), row[:0]))
    left_out = np.setdiff1d(row, row[::20]).astype(np.int32)
    excluded, counts = Excluded(np.array([0, len(left_out)], dtype=np.int64), left_out), np.zeros(100)
    for step in range(3000):
        drawn = draw("users", np.zeros(1, dtype=np.int32), 7, key(1, 0, step, HOPS), 0, excluded)
        assert drawn.scale.tolist() == [pytest.approx(100 / 7)] and not (drawn.neighbors % 20).any()
        counts[drawn.neighbors // 20] += 1
    assert_as_expected(counts, 3000, 7 / 100)


def test_shared_draws_reach_fewer_nodes_in_as_many_edges() -> None:
    generator = np.random.default_rng(0)
    users, items = np.nonzero(generator.random((300, 400)) < 0.2)
    graph = ShardedCSR.from_pairs(users.astype(np.int32), items.astype(np.int32), 300)
    alone, shared = (
        DRAWS[draws](graph, graph)("users", np.arange(300, dtype=np.int32), 5, key(1, 0, 0, HOPS), 0)
        for draws in ("independent", "shared")
    )
    assert len(alone.neighbors) == len(shared.neighbors) == 300 * 5
    assert len(np.unique(shared.neighbors)) < 0.5 * len(np.unique(alone.neighbors))
    assert not np.array_equal(
        shared.neighbors,
        SharedDraw(graph, graph)("users", np.arange(300, dtype=np.int32), 5, key(1, 0, 1, HOPS), 0).neighbors,
    )  # another step, other numbers


SIDES = ["users", "items"]


def rows_of_side(side: str) -> ShardedCSR:
    """What the nodes of a side draw from."""
    return graphs()[SIDES.index(side)]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", [IndependentDraw, SharedDraw])
def test_a_node_draws_the_same_in_any_company(kind: type[Draw], side: str) -> None:
    draw = kind(*graphs())
    nodes = np.arange(rows_of_side(side).num_rows, dtype=np.int32)
    together = rows_of(draw(side, nodes, 3, np.uint64(11), 1))
    for node in nodes:
        assert rows_of(draw(side, nodes[node : node + 1], 3, np.uint64(11), 1)) == [together[node]]
    assert rows_of(draw(side, nodes[::-1].copy(), 3, np.uint64(11), 1)) == together[::-1]
    sharded = kind(*(in_shards(graph, 4) for graph in graphs()))
    assert rows_of(sharded(side, nodes, 3, np.uint64(11), 1)) == together


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", [IndependentDraw, SharedDraw])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_excluded_edges_are_never_drawn(kind: type[Draw], side: str, data: st.DataObject) -> None:
    graph = rows_of_side(side)
    targets = np.array(data.draw(st.permutations(range(graph.num_rows))), dtype=np.int32)
    num_listed = data.draw(st.integers(0, graph.num_rows))  # targets beyond the offsets keep all their edges
    left_out = [
        sorted(data.draw(st.sets(st.sampled_from(row), max_size=4))) if (row := graph.row(target).tolist()) else []
        for target in targets[:num_listed]
    ]
    excluded = Excluded(
        np.cumsum([0, *map(len, left_out)], dtype=np.int64),
        np.array([i for row in left_out for i in row], dtype=np.int32),
    )
    fanout = data.draw(st.sampled_from([1, 3, 8, ALL]))
    drawn = kind(*graphs())(side, targets, fanout, np.uint64(3), 0, excluded)
    for k, (row, scale) in enumerate(zip(rows_of(drawn), drawn.scale, strict=True)):
        available = set(graph.row(targets[k]).tolist()) - set(left_out[k] if k < num_listed else [])
        assert set(row) <= available
        assert len(row) == len(set(row)) == (len(available) if fanout == ALL else min(fanout, len(available)))
        assert scale == (pytest.approx(len(available) / len(row)) if row else 0)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", [IndependentDraw, SharedDraw])
def test_what_an_exclusion_leaves_is_drawn_uniformly(kind: type[Draw], side: str) -> None:
    graph = rows_of_side(side)
    node = int(graph.degrees().argmax())
    row = graph.row(node)
    left_out = row[[0, 3, 4, len(row) - 1]]
    rest = np.setdiff1d(row, left_out)
    excluded = Excluded(np.array([0, len(left_out)], dtype=np.int64), left_out.copy())
    draw, counts = kind(*graphs()), np.zeros(max(NUM_USERS, NUM_ITEMS))
    for step in range(3000):
        drawn = draw(side, np.array([node], dtype=np.int32), 4, key(2, 0, step, HOPS), 0, excluded)
        counts[drawn.neighbors] += 1
    assert not counts[left_out].any()
    assert_as_expected(counts[rest], 3000, 4 / len(rest))


def entries(matrix: SparseRows) -> list[tuple[int, int]]:
    offsets = matrix.offsets.tolist()
    return [(t, s) for t in range(len(offsets) - 1) for s in matrix.sources[offsets[t] : offsets[t + 1]].tolist()]


def transposed_entries(matrix: SparseRows) -> list[tuple[int, int]]:
    offsets = matrix.transposed_offsets.tolist()
    return [
        (t, s) for s in range(len(offsets) - 1) for t in matrix.transposed_targets[offsets[s] : offsets[s + 1]].tolist()
    ]


def slow_subgraph(seeds: Seeds, hops: list[tuple[Drawn, Drawn]]) -> dict[str, Any]:
    """The subgraph by lists and loops, from the draws of each hop for users and for items."""
    nodes = {"users": seeds.users.tolist(), "items": seeds.items.tolist()}
    reach = {side: [len(values)] for side, values in nodes.items()}
    matrices = []
    for to_users, to_items in hops:
        by_source = (("items", to_users), ("users", to_items))
        for side, drawn in by_source:
            for node in drawn.neighbors.tolist():
                if node not in nodes[side]:
                    nodes[side].append(node)
            reach[side].append(len(nodes[side]))
        matrices.append(
            [
                [(target, nodes[side].index(node)) for target, row in enumerate(rows_of(drawn)) for node in row]
                for side, drawn in by_source
            ]
        )
    return {"nodes": nodes, "reach": reach, "matrices": matrices}


class RecordingDraw:
    def __init__(self, draw: Draw) -> None:
        self.inner, self.made = draw, []

    def __call__(self, *arguments: Any) -> Drawn:
        self.made.append(self.inner(*arguments))
        return self.made[-1]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_subgraph_is_that_of_plain_loops(data: st.DataObject) -> None:
    user_item, item_user = graphs()
    seeds = Seeds(
        np.array(data.draw(st.lists(st.integers(0, NUM_USERS - 1), unique=True, max_size=8)), dtype=np.int32),
        np.array(data.draw(st.lists(st.integers(0, NUM_ITEMS - 1), unique=True, max_size=8)), dtype=np.int32),
    )
    fanouts = tuple(data.draw(st.lists(st.sampled_from([1, 2, 4, ALL]), max_size=3)))
    sampler = NeighborSampler(user_item, item_user, fanouts)
    recording = RecordingDraw(sampler._draw)
    sampler._draw = recording
    graph = sampler.sample(seeds, data.draw(st.integers(0, 2**64 - 1)))
    hops = list(zip(recording.made[::2], recording.made[1::2], strict=True))
    expected = slow_subgraph(seeds, hops)

    assert graph.users.tolist() == expected["nodes"]["users"] and graph.items.tolist() == expected["nodes"]["items"]
    assert graph.users[: len(seeds.users)].tolist() == seeds.users.tolist()  # seeds first
    assert list(graph.user_reach) == expected["reach"]["users"] and list(graph.item_reach) == expected["reach"]["items"]
    assert graph.user_degrees.tolist() == user_item.degrees(graph.users.numpy()).tolist()
    assert graph.item_degrees.tolist() == item_user.degrees(graph.items.numpy()).tolist()
    assert len(graph.hops) == len(fanouts)
    for h, (hop, matrices) in enumerate(zip(graph.hops, expected["matrices"], strict=True)):
        assert hop.to_users.shape == (graph.user_reach[h], graph.item_reach[h + 1])
        assert hop.to_items.shape == (graph.item_reach[h], graph.user_reach[h + 1])
        for matrix, pairs in zip((hop.to_users, hop.to_items), matrices, strict=True):
            assert entries(matrix) == pairs
            assert transposed_entries(matrix) == sorted(pairs, key=lambda pair: (pair[1], pair[0]))
        assert hop.user_scale.tolist() == hops[h][0].scale.tolist()
        assert hop.item_scale.tolist() == hops[h][1].scale.tolist()


@pytest.mark.parametrize("draws", ["independent", "shared"])
def test_users_draw_a_fanout_of_their_own_at_the_first_hop(draws: str) -> None:
    user_item, item_user = graphs()
    sampler = NeighborSampler(user_item, item_user, (4, 3), draws)
    full = sampler.sample(SEEDS, 3)
    light = sampler.sample(replace(SEEDS, fanout_of_user=np.array([4, 4, 2, 2], dtype=np.int32)), 3)
    degrees = user_item.degrees(SEEDS.users)
    assert (degrees[2:] > 2).any(), "nothing was left out"
    drawn = light.hops[0].to_users.offsets.diff().numpy()
    np.testing.assert_array_equal(drawn, [*np.minimum(degrees[:2], 4), *np.minimum(degrees[2:], 2)])
    np.testing.assert_allclose(light.hops[0].user_scale.numpy() * drawn, degrees)
    rows = [
        [graph.items[source].item() for source in graph.hops[0].to_users.sources[: drawn[:2].sum()]]
        for graph in (full, light)
    ]
    assert rows[0] == rows[1], "the others draw what they would have drawn"
    drawn_later = light.hops[1].to_users.offsets.diff().numpy()
    np.testing.assert_array_equal(
        drawn_later, np.minimum(user_item.degrees(light.users.numpy()[: len(drawn_later)]), 3)
    )


def test_a_transpose_carries_its_values() -> None:
    offsets, sources = np.array([0, 2, 2, 5], dtype=np.int32), np.array([3, 0, 0, 3, 1], dtype=np.int32)
    values = np.arange(1, 6, dtype=np.float32)
    made = sparse_rows(offsets, sources, 5, values)
    dense = torch.zeros(3, 5)
    dense[[0, 0, 2, 2, 2], [3, 0, 0, 3, 1]] = torch.from_numpy(values)
    back, offsets = torch.zeros(5, 3), made.transposed_offsets.tolist()
    for source in range(5):
        span = slice(offsets[source], offsets[source + 1])
        back[source, made.transposed_targets[span].long()] = made.transposed_values[span]
    assert torch.equal(back, dense.T)


def tensors(graph: Subgraph) -> Iterator[tuple[str, list]]:
    yield from ((name, getattr(graph, name).tolist()) for name in ("users", "items", "user_degrees", "item_degrees"))
    yield "reach", [graph.user_reach, graph.item_reach]
    for hop in graph.hops:
        for matrix in (hop.to_users, hop.to_items):
            yield "entries", entries(matrix)
            yield "transposed", transposed_entries(matrix)
        yield "scales", [hop.user_scale.tolist(), hop.item_scale.tolist()]


SEEDS = Seeds(np.array([30, 2, 17, 0], dtype=np.int32), np.array([5, 0, 9], dtype=np.int32))


def test_a_subgraph_depends_on_the_seeds_and_the_key_alone() -> None:
    sampler = NeighborSampler(*graphs(), (3, 2))
    other_shards = NeighborSampler(*(in_shards(graph, 3) for graph in graphs()), (3, 2))
    keys = [key(1, 0, step, HOPS) for step in range(40)]
    alone = [dict(enumerate(tensors(sampler.sample(SEEDS, k)))) for k in keys]
    assert alone[0] != alone[1]
    with ThreadPoolExecutor(4) as threads:
        assert alone == list(threads.map(lambda k: dict(enumerate(tensors(sampler.sample(SEEDS, k)))), keys))
    assert alone == [dict(enumerate(tensors(other_shards.sample(SEEDS, k)))) for k in keys]


def test_the_scratch_is_clean_after_a_failure() -> None:
    sampler = NeighborSampler(*graphs(), (3, 2))
    expected = dict(enumerate(tensors(sampler.sample(SEEDS, 1))))
    draw = sampler._draw

    def fail_at_the_second_hop(*arguments: Any) -> Drawn:
        if arguments[4] == 1:
            raise MemoryError("no room")
        return draw(*arguments)

    sampler._draw = fail_at_the_second_hop
    with pytest.raises(MemoryError, match="no room"):
        sampler.sample(SEEDS, 2)
    sampler._draw = draw
    assert all((sampler._positions(side, rows) == -1).all() for side, rows in (("users", 31), ("items", 23)))
    assert dict(enumerate(tensors(sampler.sample(SEEDS, 1)))) == expected


def test_the_two_node_types_do_not_share_their_draws() -> None:
    """A user and an item of equal index and equal row would otherwise draw the same positions, in every batch."""
    square = np.arange(12, dtype=np.int32)
    users, items = np.repeat(square, 12), np.tile(square, 12)
    graph = ShardedCSR.from_pairs(users, items, 12)
    hop = NeighborSampler(graph, graph, (3,)).sample(Seeds(square, square), 9).hops[0]
    assert entries(hop.to_users) != entries(hop.to_items)


def test_fanouts_repeat_and_are_cut() -> None:
    assert parse_fanouts((10, 5), 3) == (10, 5, 5)
    assert parse_fanouts((10, 5), 1) == (10,)
    assert parse_fanouts("all", 2) == (ALL, ALL)
    assert parse_fanouts((10, 5), 0) == ()
