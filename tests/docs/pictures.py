"""Made images: a topic is a shape in a palette; place, size, shade and noise differ from image to image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SHAPES = ("disc", "square", "stripes", "bars")
COLOURS = {"red": (200, 40, 40), "blue": (40, 60, 200)}
TOPICS = [(shape, colour) for shape in SHAPES for colour in COLOURS]


def picture(shape: str, colour: str, generator: np.random.Generator) -> Image.Image:
    """An RGB image of the topic."""
    width, height = (int(side) for side in generator.integers(100, 160, 2))
    image = Image.new("RGB", (width, height), tuple(int(value) for value in generator.integers(215, 256, 3)))
    draw = ImageDraw.Draw(image)
    fill = tuple(int(value) for value in np.clip(np.array(COLOURS[colour]) + generator.integers(-30, 31, 3), 0, 255))
    centre = np.array([width, height]) / 2 + generator.uniform(-8, 8, 2)
    radius = generator.uniform(0.28, 0.36) * min(width, height)
    box = [*(centre - radius), *(centre + radius)]
    if shape == "disc":
        draw.ellipse(box, fill=fill)
    elif shape == "square":
        draw.rectangle(box, fill=fill)
    else:
        length, step = (width, 20) if shape == "bars" else (height, 20)
        for start in range(int(generator.integers(0, step)), length, step):
            bar = [start, 0, start + 8, height] if shape == "bars" else [0, start, width, start + 8]
            draw.rectangle(bar, fill=fill)
    noise = generator.normal(0, 6, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def write_pictures(folder: Path, num_images: int, seed: int = 5) -> list[int]:
    """Writes `<item>.png` for the items 0, 1, ...; returns the topic of each."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    topics = [item % len(TOPICS) for item in range(num_images)]
    for item, topic in enumerate(topics):
        picture(*TOPICS[topic], generator).save(folder / f"{item}.png")
    return topics
