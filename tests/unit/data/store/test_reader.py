"""What a store gives back, whatever the shards, and what it refuses to open."""

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

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.schema import MANIFEST, ModalityInfo
from dualgnn_dist.data.store.writer import StoreWriter
from tests.unit.data.store.small_store import ITEMS, NEIGHBORS, TIMES, USERS, write


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


def test_verify_names_the_damaged_file(tmp_path: Path) -> None:
    store = write(tmp_path / "store")
    store.verify()
    file = store.path / "interactions/valid-00001.arrow"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"the shard interactions/valid-00001\.arrow is damaged \(its checksum differs"):
        store.verify()


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
        "    run(Store.open(sys.argv[2]))\n"  # once for the check of a store that this node has not read
        "    before = so_far()\n"
        "    kept = run(Store.open(sys.argv[2]))\n"
        "    print(so_far() - before)\n"
    )
    command = [sys.executable, "-c", count + script, *arguments]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the system does not count what a process reads")
def test_opening_reads_the_manifest_and_the_footers_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`statm` counts the mapped pages that were touched; the system maps up to 16 around each."""
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "cache"))
    small = write(tmp_path / "small").path
    with StoreWriter(tmp_path / "large", 1 << 22) as writer:
        for split in ("train", "valid", "test"):
            writer.append_rows(
                f"interactions/{split}", dict.fromkeys(("user", "item"), np.zeros(1 << 21, dtype=np.int32))
            )
        rows = pa.LargeListArray.from_arrays(np.arange((1 << 21) + 1), np.zeros(1 << 21, dtype=np.int32))
        for kind in ("users", "items"):
            writer.append_rows(f"ids/{kind}", {"id": np.arange(1 << 21)})
        for name in ("user_item", "item_user"):
            writer.append_rows(f"graph/{name}", {"neighbors": rows})
        writer.append_rows("graph/user_cooccurrence", {"neighbors": rows, "counts": rows})
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
