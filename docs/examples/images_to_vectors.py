"""Images to vectors: a folder of images named by item id -> a Parquet file that `prepare` reads as a modality.

    pip install numpy pyarrow pillow
    python docs/examples/images_to_vectors.py covers/ covers.parquet

The item of `covers/B00ABC.jpg` is `B00ABC`. The vector, of 204 columns, is made without learned weights: colours and
directions of edges, region by region. That is a baseline. It finds images that look alike, by palette and layout, and
knows nothing of what they show. For that put a trained encoder in its place, with `--encoder module:function`.

An image that cannot be read has no vector: null, which a model reads as missing; it is counted and named.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageOps
from vectors_file import Progress, VectorsFile, duration, own_encoder

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
COLOURS_AND_EDGES = "colours-and-edges"
SIDE = 64  # pixels of the square that the built-in vectors look at
REGIONS, DIRECTIONS = 4, 8  # edges: regions a side, and directions in each
LEVELS, COLOUR_REGIONS = 4, 2  # colours: levels of red, green and blue for the whole; regions a side for the means
LARGEST = 512  # pixels a side that an encoder is handed at most
NUM_NAMED = 5
Encoder = Callable[[Sequence[Image.Image]], np.ndarray]


def read_image(path: Path) -> Image.Image | None:
    """The image as RGB, upright, at most 512 pixels a side, what is transparent white; None where it is damaged."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                image.draft("RGB", (LARGEST, LARGEST))  # a JPEG is decoded no larger than needed
                image.thumbnail((LARGEST, LARGEST))
                upright = ImageOps.exif_transpose(image).convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright).convert("RGB")
    except Exception:  # decoders raise all kinds: OSError, SyntaxError, struct.error, ValueError, ...
        return None


def colours_and_edges(images: Sequence[Image.Image]) -> np.ndarray:
    """RGB images -> float32 [N, 204]; each of the three parts has length 1, so that none drowns the others.

    64 columns say how often a colour comes, 12 the mean colour of each quarter, 128 the directions of edges.
    """
    return np.stack([_described(image) for image in images]).astype(np.float32)


def _described(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64) / 255
    levels = np.minimum((pixels * LEVELS).astype(np.int64), LEVELS - 1)
    codes = (levels @ [LEVELS * LEVELS, LEVELS, 1]).ravel()
    colours = np.sqrt(np.bincount(codes, minlength=LEVELS**3))  # roots: a plain background does not hide the rest
    means = _regions(pixels, COLOUR_REGIONS).mean(axis=(1, 3)) - 0.5
    return np.concatenate([_unit(colours), _unit(means), _unit(_edges(pixels.mean(axis=2)))])


def _edges(grey: np.ndarray) -> np.ndarray:
    """How strong the edges of each direction are in each region, as HOG has it."""
    down, right = np.gradient(grey)
    strength = np.hypot(down, right)
    direction = (np.arctan2(down, right) % np.pi) / np.pi * DIRECTIONS
    lower = np.floor(direction).astype(np.int64)
    share = direction - lower  # between two directions both count
    planes = np.zeros((SIDE, SIDE, DIRECTIONS))
    rows, columns = np.indices((SIDE, SIDE))
    planes[rows, columns, lower % DIRECTIONS] = strength * (1 - share)
    planes[rows, columns, (lower + 1) % DIRECTIONS] += strength * share
    return np.sqrt(_regions(planes, REGIONS).sum(axis=(1, 3)))


def _regions(planes: np.ndarray, num_regions: int) -> np.ndarray:
    """[S, S, C] -> [regions, S / regions, regions, S / regions, C]."""
    side = SIDE // num_regions
    return planes.reshape(num_regions, side, num_regions, side, planes.shape[2])


def _unit(values: np.ndarray) -> np.ndarray:
    flat = values.ravel()
    return flat / max(float(np.linalg.norm(flat)), 1e-12)


def images_of(folder: Path) -> list[Path]:
    """The folder's images, by item id. Raises SystemExit where there is none, or two are of one item."""
    if not folder.is_dir():
        raise SystemExit(f"{folder} is no folder")
    of_item: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in ENDINGS or not path.is_file():
            continue
        if path.stem in of_item:
            raise SystemExit(f"{of_item[path.stem]} and {path.name} are both of item {path.stem!r}; remove one")
        of_item[path.stem] = path
    if not of_item:
        raise SystemExit(f"{folder} has no image; known endings are {', '.join(ENDINGS)}")
    return [of_item[item] for item in sorted(of_item)]


def blocks(paths: Sequence[Path], num_rows: int, threads: int) -> Iterator[tuple[list[Path], list[Image.Image | None]]]:
    """`num_rows` paths at a time and their images."""
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), num_rows):
            block = list(paths[start : start + num_rows])
            yield block, list(pool.map(read_image, block))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    words, epilog = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=words, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="images named by item id; what is no image is left alone")
    parser.add_argument("output", type=Path, help="the Parquet file to write: the item id, and `vector`")
    parser.add_argument("--item", default="item", help="the name of the id column in the output")
    parser.add_argument("--encoder", default=COLOURS_AND_EDGES, help="module:function, of N images to an array [N, D]")
    parser.add_argument("--threads", type=int, default=2, help="that read images")
    parser.add_argument("--part-rows", type=int, default=256, help="images read at once, and a point to go on from")
    parser.add_argument("--overwrite", action="store_true", help="replace the output")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Encodes what the command line says."""
    options = parser().parse_args(arguments)
    if min(options.threads, options.part_rows) < 1:
        raise SystemExit("--threads and --part-rows must be at least 1")
    paths = images_of(options.folder)
    stamps = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in paths]
    settings = {"images": stamps, "part rows": options.part_rows, "encoder": options.encoder, "item": options.item}
    file = VectorsFile(options.output, options.item, settings, options.overwrite)
    encode: Encoder = colours_and_edges if options.encoder == COLOURS_AND_EDGES else own_encoder(options.encoder)
    done = min(file.num_parts * options.part_rows, len(paths))
    if done:
        print(f"going on behind {done:,} images that are done")
    progress = Progress(len(paths), done, "images")
    for block, images in blocks(paths[done:], options.part_rows, options.threads):
        present = np.array([image is not None for image in images])
        readable = [image for image in images if image is not None]
        vectors = encode(readable) if readable else np.zeros((0, 1))
        file.add(pa.array([path.stem for path in block]), vectors, present)
        done += len(block)
        progress(done)
    made = file.finish()
    words = f"{made['items']:,} items, {made['vectors']:,} vectors of {made['columns']} columns"
    print(f"{options.output}: {words}; {duration(progress.seconds)}")
    say_damaged(options.output, made["items"] - made["vectors"])


def say_damaged(output: Path, num_damaged: int) -> None:
    """Names the first images without a vector, those of an earlier run that was stopped too."""
    if num_damaged:
        table = pq.read_table(output)
        items = table.filter(table["vector"].is_null())[0].slice(0, NUM_NAMED).to_pylist()
        print(f"{num_damaged:,} images cannot be read, their items have no vector: {', '.join(items)}", end="")
        print(", ..." if num_damaged > NUM_NAMED else "")


if __name__ == "__main__":
    main()
