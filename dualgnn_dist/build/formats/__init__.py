"""The input formats. A further one is a file here and a line in `FORMATS`."""

from dualgnn_dist.build.formats.adjacency import AdjacencyOptions, read_adjacency
from dualgnn_dist.build.formats.dualgnn import DualGNNOptions, read_dualgnn
from dualgnn_dist.build.formats.mmrec import MMRecOptions, read_mmrec
from dualgnn_dist.build.formats.movielens import MovieLensOptions, read_movielens
from dualgnn_dist.build.formats.recbole import RecBoleOptions, read_recbole
from dualgnn_dist.build.formats.synthetic import SyntheticOptions, read_synthetic
from dualgnn_dist.build.formats.table import TableOptions, read_table
from dualgnn_dist.build.raw import Format

FORMATS: dict[str, Format] = {
    "table": Format(TableOptions, read_table),
    "mmrec": Format(MMRecOptions, read_mmrec),
    "adjacency": Format(AdjacencyOptions, read_adjacency),
    "dualgnn": Format(DualGNNOptions, read_dualgnn),
    "recbole": Format(RecBoleOptions, read_recbole),
    "movielens": Format(MovieLensOptions, read_movielens),
    "synthetic": Format(SyntheticOptions, read_synthetic),
}
