"""The store: round trip, refusals, and that nothing opens before it is whole."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.columns import DenseColumn
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.schema import MANIFEST, ModalityInfo
from dualgnn_dist.data.store.writer import StoreWriter

ROWS = 3  # rows a shard: the tables below have several shards, the last one short
VECTORS = np.arange(14, dtype=np.float16).reshape(7, 2)
PRESENT = np.array([True, True, False, True, True, True, False])
TOKENS = [[4, 0], None, [], [1, 2, 3], [0], None, [4]]
NEIGHBORS = [[1, 4], [], [0], [2, 3, 4], [1]]
USERS = np.array([0, 0, 1, 3, 3, 3, 4], dtype=np.int32)
ITEMS = np.array([2, 5, 1, 0, 2, 6, 5], dtype=np.int32)
TIMES = np.arange(7, dtype=np.int64) * 10**12


def write(path: Path, rows_per_shard: int = ROWS, overwrite: bool = False, times: bool = True) -> Store:
    vectors = np.where(PRESENT[:, None], VECTORS, np.float16(0))
    dense = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 2, mask=pa.array(~PRESENT))
    lists = pa.array(NEIGHBORS, pa.large_list(pa.int32()))
    counts = pa.array([[10 + n for n in row] for row in NEIGHBORS], pa.large_list(pa.int32()))
    with StoreWriter(path, rows_per_shard, overwrite) as writer:
        writer.append_rows("ids/users", {"id": pa.array(["a", "b", "c", "d", "e"])})
        writer.append_rows("ids/items", {"id": np.arange(100, 107)})
        for split in ("train", "valid", "test"):
            columns = {"user": USERS, "item": ITEMS} | ({"timestamp": TIMES} if times else {})
            writer.append_rows(f"interactions/{split}", columns)
        for name in ("user_item", "item_user"):
            writer.append_rows(f"graph/{name}", {"neighbors": lists})
        writer.append_rows("graph/user_cooccurrence", {"neighbors": lists, "counts": counts})
        writer.append_rows("features/visual", {"feature": dense})
        writer.append_rows("features/visual_2", {"feature": dense})
        writer.append_rows("features/textual", {"feature": pa.array(TOKENS, pa.large_list(pa.int32()))})
        visual = ModalityInfo(kind="dense", dimension=2, dtype="float16", num_present=5)
        textual = ModalityInfo(kind="tokens", dimension=5, dtype="int32", num_present=5)
        writer.commit(
            num_users=5,
            num_items=7,
            num_interactions={"train": 7, "valid": 7, "test": 7},
            modalities={"visual": visual, "visual_2": visual, "textual": textual},
            settings={"k_core": 0},
            sources={"raw.csv": "00"},
        )
    return Store.open(path)


@pytest.fixture(params=[ROWS, 1, 100])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return write(tmp_path / "store", request.param)


def test_interactions_come_back_by_position_and_whole(store: Store) -> None:
    train = store.interactions("train")
    assert train.timestamps is not None
    order = np.array([6, 0, 3, 3, 5], dtype=np.int64)
    for column, expected in ((train.users, USERS), (train.items, ITEMS), (train.timestamps, TIMES)):
        assert len(column) == 7
        np.testing.assert_array_equal(column.take(order), expected[order])
        np.testing.assert_array_equal(column.to_numpy(), expected)
        assert column.take(order).dtype == column.to_numpy().dtype == column.dtype == expected.dtype
        assert len(column.take(order[:0])) == 0


def test_timestamps_are_none_where_there_are_none(tmp_path: Path) -> None:
    assert write(tmp_path / "store", times=False).interactions("train").timestamps is None


def test_held_out_items_by_user(store: Store) -> None:
    offsets, items = store.held_out("test", np.array([0, 2, 3], dtype=np.int32))
    assert offsets.tolist() == [0, 2, 2, 5] and offsets.dtype == np.int64
    assert items.tolist() == [2, 5, 0, 2, 6] and items.dtype == np.int32
    offsets, items = store.held_out("valid", np.empty(0, dtype=np.int32))
    assert offsets.tolist() == [0] and len(items) == 0


def test_graphs_are_views_with_counts_where_there_are_some(store: Store) -> None:
    for csr in (store.user_item, store.user_cooccurrence):
        assert [csr.row(row).tolist() for row in range(5)] == NEIGHBORS
        assert not csr.neighbors[0].flags.owndata
    assert store.user_item.counts is None
    assert store.user_cooccurrence.row_counts(3).tolist() == [12, 13, 14]
    assert store.user_item.degrees().tolist() == [2, 0, 1, 3, 1]


def test_dense_features_are_widened_and_zero_where_missing(store: Store) -> None:
    rows = np.array([5, 2, 0, 6, 5], dtype=np.int32)
    feature = store.features("visual").gather(rows)
    assert feature.values.dtype == torch.float32 and feature.present.tolist() == [True, False, True, False, True]
    assert feature.offsets is None and feature.tokens is None
    np.testing.assert_array_equal(feature.values, np.where(PRESENT[rows, None], VECTORS[rows], 0).astype(np.float32))


def test_every_float16_is_widened_as_numpy_does() -> None:
    numbers = np.arange(1 << 16, dtype=np.uint16).view(np.float16)  # infinities, subnormals and no-numbers among them
    shards = [pa.FixedSizeListArray.from_arrays(pa.array(part), 8) for part in np.split(numbers, [8 * 5000])]
    column = DenseColumn(ModalityInfo(kind="dense", dimension=8, dtype="float16", num_present=8192), 5000, shards)
    rows = np.random.default_rng(0).permutation(8192)
    feature = column.gather(rows)
    np.testing.assert_array_equal(feature.values, numbers.reshape(-1, 8)[rows].astype(np.float32))
    assert feature.present.all()
    for row in (-1, 8192):
        with pytest.raises(AssertionError, match="rows beyond the column"):
            column.gather(np.array([0, row]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_bfloat16_features_are_rounded_as_torch_does(dtype: type) -> None:
    generator = np.random.default_rng(0)
    bits = {np.float16: np.uint16, np.float32: np.uint32}[dtype]
    numbers = generator.integers(0, np.iinfo(bits).max, 8 * 4096, dtype=bits, endpoint=True).view(dtype)
    numbers[:8] = [0.0, -0.0, 1 + 2.0**-8, 1 + 3 * 2.0**-8, -1 - 2.0**-8, 2.0**-14, 65504, 2.0**-24]  # ties to even
    numbers[~np.isfinite(numbers)] = 1  # `prepare` refuses them
    info = ModalityInfo(kind="dense", dimension=8, dtype=np.dtype(dtype).name, num_present=4096)
    column = DenseColumn(info, 4096, [pa.FixedSizeListArray.from_arrays(pa.array(numbers), 8)])
    feature = column.gather(np.arange(4096), as_bfloat16=True)
    expected = torch.from_numpy(numbers.reshape(-1, 8).astype(np.float32)).bfloat16()
    assert feature.values.dtype == torch.bfloat16 and feature.present.all()
    assert torch.equal(feature.values.view(torch.uint16), expected.view(torch.uint16))


def test_token_features_by_row(store: Store) -> None:
    rows = np.array([3, 1, 2, 0], dtype=np.int32)
    for as_bfloat16 in (False, True):
        feature = store.features("textual").gather(rows, as_bfloat16)
        assert feature.offsets.tolist() == [0, 3, 3, 3, 5] and feature.offsets.dtype == torch.int64
        assert feature.tokens.tolist() == [1, 2, 3, 4, 0] and feature.tokens.dtype == torch.int64
        assert feature.present.tolist() == [True, False, True, True] and feature.values is None


def test_ids_of_rows_and_all(store: Store) -> None:
    assert store.ids("users", np.array([4, 0])).to_pylist() == ["e", "a"]
    assert store.ids("items").to_pylist() == list(range(100, 107))


def test_pickled_it_opens_again_and_threads_share_one_graph(store: Store) -> None:
    copy = pickle.loads(pickle.dumps(store))
    assert copy.manifest == store.manifest and copy.path.is_absolute()
    seen: list[object] = []
    threads = [threading.Thread(target=lambda: seen.append(copy.user_item)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(csr is seen[0] for csr in seen) and len(seen) == 8


def test_the_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a"), write(tmp_path / "b")
    assert first.manifest.fingerprint == second.manifest.fingerprint
    assert first.manifest.fingerprint != write(tmp_path / "c", times=False).manifest.fingerprint


def test_verify_names_the_damaged_file(tmp_path: Path) -> None:
    store = write(tmp_path / "store")
    store.verify()
    file = store.path / "interactions/valid-00001.arrow"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"the shard interactions/valid-00001\.arrow is damaged \(its checksum differs"):
        Store.open(tmp_path / "store").verify()


def test_a_missing_or_cut_shard_is_refused_at_once(tmp_path: Path) -> None:
    file = write(tmp_path / "store").path / "graph/user_item-00000.arrow"
    content = file.read_bytes()
    file.write_bytes(content[:-8])
    with pytest.raises(UserError, match=rf"user_item-00000\.arrow has {len(content) - 8} bytes, the manifest says"):
        Store.open(tmp_path / "store")
    file.write_bytes(bytes(len(content)))  # the right size, but no Arrow file
    with pytest.raises(UserError, match=r"user_item-00000\.arrow is damaged"):
        _ = Store.open(tmp_path / "store").user_item
    file.unlink()
    with pytest.raises(UserError, match=r"the shard graph/user_item-00000\.arrow is missing; make the store again"):
        Store.open(tmp_path / "store")


def test_another_format_version_is_refused(tmp_path: Path) -> None:
    manifest = write(tmp_path / "store").path / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format_version": 99}))
    with pytest.raises(UserError, match="is a store of format version 99, this program reads version 1; make it again"):
        Store.open(tmp_path / "store")
    manifest.write_text("[")
    with pytest.raises(UserError, match="is not a manifest"):
        Store.open(tmp_path / "store")


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a store or an unfinished one: it has no manifest\.json; make"):
        Store.open(tmp_path)
    with pytest.raises(UserError, match="there is no such folder"):
        Store.open(tmp_path / "nowhere")


def bytes_read(script: str, *arguments: str) -> int:
    """By system calls and by touching mapped pages (a fault on a page that is not cached), in a fresh process."""
    count = (
        "import sys, resource\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from dualgnn_dist.data.store.reader import Store\n"
        "def so_far():\n"
        "    called = int(dict(line.split(': ') for line in Path('/proc/self/io').read_text().splitlines())['rchar'])\n"
        "    mapped = int(Path('/proc/self/statm').read_text().split()[2])\n"
        "    return called + mapped * resource.getpagesize()\n"
        "def measure(run):\n"
        "    run(Store.open(sys.argv[1]))\n"  # once for the code itself
        "    before = so_far()\n"
        "    kept = run(Store.open(sys.argv[2]))\n"
        "    print(so_far() - before)\n"
    )
    command = [sys.executable, "-c", count + script, *arguments]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the system does not count what a process reads")
def test_opening_reads_the_manifest_and_the_footers_alone(tmp_path: Path) -> None:
    """`statm` counts the mapped pages that were touched; the system maps up to 16 around each."""
    small = write(tmp_path / "small").path
    with StoreWriter(tmp_path / "large", 1 << 22) as writer:
        for split in ("train", "valid", "test"):
            writer.append_rows(
                f"interactions/{split}", dict.fromkeys(("user", "item"), np.zeros(1 << 21, dtype=np.int32))
            )
        rows = pa.LargeListArray.from_arrays(np.arange((1 << 21) + 1), np.zeros(1 << 21, dtype=np.int32))
        for name in ("user_item", "item_user"):
            writer.append_rows(f"graph/{name}", {"neighbors": rows})
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(1 << 22, dtype=np.float16)), 2)
        writer.append_rows("features/visual", {"feature": vectors})
        writer.commit(
            num_users=1 << 21,
            num_items=1 << 21,
            num_interactions=dict.fromkeys(("train", "valid", "test"), 1 << 21),
            modalities={"visual": ModalityInfo(kind="dense", dimension=2, dtype="float16", num_present=1 << 21)},
            settings={},
            sources={},
        )
    large = tmp_path / "large"
    assert sum(file.stat().st_size for file in large.rglob("*.arrow")) > 100 << 20
    opened = "measure(lambda s: [s.interactions('train'), s.user_item, s.item_user, s.features('visual')])"
    assert bytes_read(opened, str(small), str(large)) < 2 << 20
    touched = "measure(lambda s: [users := s.interactions('train').users.to_numpy(), users.sum()])"
    assert bytes_read(touched, str(small), str(large)) > 7 << 20, "what is read by touching it would not be noticed"


def test_an_unknown_modality_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no modality 'visuall'; did you mean 'visual'"):
        write(tmp_path / "store").features("visuall")


def test_an_existing_store_is_replaced_only_on_demand(tmp_path: Path) -> None:
    before = write(tmp_path / "store").manifest
    with pytest.raises(UserError, match="is a store already; choose another folder or set overwrite"):
        write(tmp_path / "store")
    after = write(tmp_path / "store", overwrite=True, times=False).manifest
    assert before.fingerprint != after.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_folder_that_is_no_store_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="exists and is not a store; choose another folder"):
        write(tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine/thesis.txt").read_text() == "years of work"


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), StoreWriter(tmp_path / "store", 10) as writer:
        writer.append("ids/users", {"id": np.arange(5)})
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_leaves_nothing_that_opens(tmp_path: Path) -> None:
    script = (
        "import os, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from dualgnn_dist.data.store import writer\n"
        "w = writer.StoreWriter(Path(sys.argv[1]), 10)\n"
        "w.append('ids/users', {'id': np.arange(5)})\n"
        "w.append('ids/items', {'id': np.arange(5)})\n"
        "os.kill(os.getpid(), 9)\n"
    )
    finished = subprocess.run([sys.executable, "-c", script, str(tmp_path / "store")], check=False)
    assert finished.returncode == -9
    left = list(tmp_path.iterdir())
    assert len(left) == 1 and left[0].name.startswith(".store.unfinished-")
    for folder in [tmp_path / "store", *left]:
        with pytest.raises(UserError, match="not a store or an unfinished one"):
            Store.open(folder)
    assert write(tmp_path / "store").manifest.num_users == 5  # and the next one is not hindered


def test_the_writer_holds_the_shard_sizes(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", 4) as writer:
        writer.append("ids/users", {"id": np.arange(3)})
        with pytest.raises(AssertionError, match="only the last shard may be short"):
            writer.append("ids/users", {"id": np.arange(3)})
        with pytest.raises(AssertionError, match="5 rows"):
            writer.append("ids/items", {"id": np.arange(5)})
