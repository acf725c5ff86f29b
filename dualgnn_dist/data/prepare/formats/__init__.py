"""The input formats. A further one is a file here and a line in `FORMATS`.

table      CSV, TSV or Parquet interactions; `.npy` or Parquet features
mmrec      MMRec's `.inter` with split labels, `.npy` features by row
adjacency  a line a user: its items
dualgnn    what the released DualGNN code reads
recbole    RecBole's atomic files
movielens  MovieLens' own files, or their zip
films      the genres beside MovieLens' ratings
microlens  MicroLens' pairs of user and video
amazon     Amazon's reviews of 2014, 2018 and 2023
amazon_items  what they say of the items
synthetic  made-up data with a known structure
readers    what several of them read with
"""

from dualgnn_dist.data.prepare.formats.adjacency import AdjacencyOptions, read_adjacency
from dualgnn_dist.data.prepare.formats.amazon import AmazonOptions, read_amazon
from dualgnn_dist.data.prepare.formats.dualgnn import DualGNNOptions, read_dualgnn
from dualgnn_dist.data.prepare.formats.microlens import MicroLensOptions, read_microlens
from dualgnn_dist.data.prepare.formats.mmrec import MMRecOptions, read_mmrec
from dualgnn_dist.data.prepare.formats.movielens import MovieLensOptions, read_movielens
from dualgnn_dist.data.prepare.formats.recbole import RecBoleOptions, read_recbole
from dualgnn_dist.data.prepare.formats.synthetic import SyntheticOptions, read_synthetic
from dualgnn_dist.data.prepare.formats.table import TableOptions, read_table
from dualgnn_dist.data.prepare.raw_data import Format

FORMATS: dict[str, Format] = {
    "table": Format(TableOptions, read_table, has_sources=True),
    "mmrec": Format(MMRecOptions, read_mmrec),
    "adjacency": Format(AdjacencyOptions, read_adjacency),
    "dualgnn": Format(DualGNNOptions, read_dualgnn),
    "recbole": Format(RecBoleOptions, read_recbole),
    "movielens": Format(MovieLensOptions, read_movielens, has_sources=True),
    "microlens": Format(MicroLensOptions, read_microlens, has_sources=True),
    "amazon": Format(AmazonOptions, read_amazon, has_sources=True),
    "synthetic": Format(SyntheticOptions, read_synthetic),
}
