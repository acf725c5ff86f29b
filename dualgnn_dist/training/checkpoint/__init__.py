"""The state of a training in shards, written whole, checked when it is read, readable under another number of workers.

    <folder>/checkpoint.json                    written last: a folder without it is no checkpoint
             dense.pt                           dense weights and their optimizer, from rank 0
             <table>-00000-of-00002.pt          one worker's rows of a table with their moments

All workers write into a temporary sibling of the folder, which rank 0 renames when everything is there. So the folder
must lie on storage that every worker sees, or a `RunAtUrl` must bring the shards together. Row r of a table in W shards
is row `r // W` of shard `r % W`. Every file says in itself what it is and of which run; the manifest holds the checksum
of every other file, and one of its own.

manifest  what a checkpoint says of itself, and its checksums
tensors   its files of tensors
folders   which folders are checkpoints, and what becomes of those that are not
writing   all workers write one
reading   each worker checks what it reads, and reads it
together  what one worker is refused, all are
clock     when one is due by time
"""

from dualgnn_dist.training.checkpoint.clock import SaveClock
from dualgnn_dist.training.checkpoint.folders import (
    complete,
    exists,
    is_name,
    name_of,
    partial,
    put_back_old,
    remove,
    set_aside,
)
from dualgnn_dist.training.checkpoint.manifest import (
    MANIFEST,
    UNCHECKED_VERSION,
    Damaged,
    Manifest,
    check_written_by,
    describe,
)
from dualgnn_dist.training.checkpoint.reading import Checkpoint, check, check_there, check_together, load, read_rows
from dualgnn_dist.training.checkpoint.tensors import write_shard
from dualgnn_dist.training.checkpoint.together import together
from dualgnn_dist.training.checkpoint.writing import save

__all__ = [
    "MANIFEST",
    "UNCHECKED_VERSION",
    "Checkpoint",
    "Damaged",
    "Manifest",
    "SaveClock",
    "check",
    "check_there",
    "check_together",
    "check_written_by",
    "complete",
    "describe",
    "exists",
    "is_name",
    "load",
    "name_of",
    "partial",
    "put_back_old",
    "read_rows",
    "remove",
    "save",
    "set_aside",
    "together",
    "write_shard",
]
