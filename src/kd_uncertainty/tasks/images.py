"""Images as a table that ingestion takes: one column a pixel, channel by channel, and the label."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError

Bytes = NDArray[np.uint8]


def image_table(images: NDArray[Any], labels: Sequence[Any] | NDArray[Any], target: str = "target") -> pd.DataFrame:
    """Return images (n, channels, height, width) as a table of one block, ``c0_y0_x0`` and so on, and the labels.

    The pixels keep their type: 50,000 CIFAR images of bytes take 154 MB. ``attrs["image_shape"]`` is (C, H, W).

    Raises:
        UserError: if the images are no (n, channels, height, width), or there are not as many labels.
    """
    if images.ndim != 4:
        raise UserError(
            f"images: have shape {images.shape}, and (n, channels, height, width) is needed; add the missing axis"
        )
    if len(images) != len(labels):
        raise UserError(f"images: {len(images)} images have {len(labels)} labels; give each image one")
    _, channels, height, width = images.shape
    names = [f"c{c}_y{y}_x{x}" for c in range(channels) for y in range(height) for x in range(width)]
    table = pd.DataFrame(images.reshape(len(images), -1), columns=names)
    table = pd.concat([table, pd.DataFrame({target: np.asarray(labels)})], axis=1)
    table.attrs["image_shape"] = (channels, height, width)
    return table


def decode_images(cells: Sequence[Any]) -> NDArray[Any]:
    """Return (n, channels, height, width) from cells of PNG or JPEG bytes, ``{bytes, path}`` or arrays (H, W[, C]).

    Raises:
        UserError: if a cell is no image, or its shape differs from the first one's; its row is named.
    """
    images: NDArray[Any] | None = None
    for row, cell in enumerate(cells):
        image = _decode(cell, row)
        if images is None:
            images = np.empty((len(cells), *image.shape), dtype=image.dtype)
        if image.shape != images.shape[1:]:
            raise UserError(
                f"images: row {row} has shape {image.shape} and row 0 has {images.shape[1:]} (channels, height, "
                "width); bring all to one size"
            )
        if image.dtype != images.dtype:
            raise UserError(f"images: row {row} holds {image.dtype} and row 0 {images.dtype}; use one type for all")
        images[row] = image
    if images is None:
        raise UserError("images: the table has 0 rows; give it examples")
    return images


def read_npz(path: str | Path, images: str = "images", labels: str = "labels") -> pd.DataFrame:
    """Return the table of an NPZ file's arrays (n, height, width[, channels]) and (n,); pickled objects are refused.

    Raises:
        UserError: if the file cannot be read, or an array is missing or has another shape.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in (images, labels) if name not in file]
            if missing:
                raise UserError(f"{path}: has no array '{missing[0]}' (arrays: {', '.join(file.files)}); name another")
            pixels, classes = file[images], file[labels]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: cannot be read as NPZ without pickle ({error}); save plain arrays") from error
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    if pixels.ndim != 4:
        raise UserError(f"{path}: '{images}' has shape {pixels.shape}; (n, height, width[, channels]) is needed")
    return image_table(pixels.transpose(0, 3, 1, 2), classes)


def synthetic_images(
    num_examples: int, num_classes: int = 10, shape: tuple[int, int, int] = (3, 32, 32), seed: int = 0
) -> pd.DataFrame:
    """Return images of bytes: each class has a mean image of 4 x 4 blocks, and noise of deviation 32 is added."""
    generator = np.random.default_rng(seed)
    channels, height, width = shape
    coarse = generator.integers(64, 192, (num_classes, channels, -(-height // 4), -(-width // 4)))
    means = coarse.repeat(4, axis=2).repeat(4, axis=3)[..., :height, :width]
    labels = np.arange(num_examples) % num_classes
    images = np.empty((num_examples, *shape), dtype=np.uint8)
    for row, label in enumerate(labels):
        images[row] = np.clip(means[label] + generator.normal(0.0, 32.0, shape), 0, 255)
    return image_table(images, labels)


def _decode(cell: Any, row: int) -> NDArray[Any]:
    if isinstance(cell, dict):
        cell = cell.get("bytes")
    if isinstance(cell, bytes):
        return _channels_first(_decode_bytes(cell, row), row)
    try:
        array = np.array(_nested_lists(cell))
    except (ValueError, TypeError) as error:
        raise UserError(f"images: row {row} is no rectangular array ({error}); mend or remove it") from error
    if not np.issubdtype(array.dtype, np.number):
        raise UserError(f"images: row {row} holds neither image bytes nor numbers; mend or remove it")
    return _channels_first(array, row)


def _nested_lists(cell: Any) -> Any:
    """What Parquet gives back for nested lists, arrays of arrays, as lists; anything else as it is."""
    if isinstance(cell, np.ndarray) and cell.dtype == object:
        return [_nested_lists(part) for part in cell]
    return cell


def _decode_bytes(data: bytes, row: int) -> Bytes:
    try:
        from PIL import Image
    except ImportError as error:
        raise UserError("images: PNG and JPEG need pillow; pip install pillow") from error
    try:
        with Image.open(io.BytesIO(data)) as image:
            grey = image.mode in {"1", "L"}
            return np.asarray(image.convert("L" if grey else "RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"images: row {row} cannot be decoded ({error}); mend or remove it") from error


def _channels_first(image: NDArray[Any], row: int) -> NDArray[Any]:
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3:
        raise UserError(f"images: row {row} has shape {image.shape}; (height, width[, channels]) is needed")
    return image.transpose(2, 0, 1)
