"""Views against a slow reference, image by image, and their independence of neighbours."""

import numpy as np
import pytest
import torch

from kd_uncertainty.population.augmentation import (
    AugmentationOptions,
    augment,
    draw_views,
    normalise,
)
from kd_uncertainty.population.counter import AUGMENTATION, philox_words

OPTIONS = AugmentationOptions(pad=2)
SEEDS = torch.tensor([3, -7, 2**40])
EXAMPLES = torch.tensor([0, 5, 2**31 + 9, 4])


def test_views_equal_a_slow_reference_image_by_image():
    images = torch.randn(3, 4, 2, 5, 7)
    views = augment(images, *draw_views(SEEDS, 6, EXAMPLES, OPTIONS), OPTIONS.pad)
    for student, seed in enumerate(SEEDS.tolist()):
        for place, example in enumerate(EXAMPLES.tolist()):
            seeds = np.array([seed % 2**64], dtype=np.uint64)
            row, column, flip = (int(word) for word in philox_words(seeds, (6 << 32) | example, AUGMENTATION, 3)[0])
            padded = np.pad(images[student, place].numpy(), [(0, 0), (2, 2), (2, 2)])
            top, left = row * 5 // 2**32, column * 5 // 2**32
            crop = padded[:, top : top + 5, left : left + 7]
            expected = crop[..., ::-1] if flip >= 2**31 else crop
            np.testing.assert_array_equal(views[student, place].numpy(), expected)


def test_a_view_does_not_depend_on_its_neighbours():
    corners, flips = draw_views(SEEDS, 1, EXAMPLES, OPTIONS)
    alone = draw_views(SEEDS[1:2], 1, EXAMPLES[2:3], OPTIONS)
    assert torch.equal(corners[1:2, 2:3], alone[0])
    assert torch.equal(flips[1:2, 2:3], alone[1])


def test_views_change_with_the_epoch_and_are_uniform():
    examples = torch.arange(20_000)
    corners, flips = draw_views(SEEDS[:1], 0, examples, OPTIONS)
    assert not torch.equal(corners, draw_views(SEEDS[:1], 1, examples, OPTIONS)[0])
    counts = torch.bincount((corners[0, :, 0] * 5 + corners[0, :, 1]) * 2 + flips[0], minlength=50)
    chi_square = ((counts - 400.0) ** 2 / 400.0).sum()
    assert chi_square < 49 + 4 * (2 * 49) ** 0.5  # four standard deviations of its distribution


@pytest.mark.parametrize("pad", [0, 3])
def test_no_padding_and_no_flip_is_the_image(pad):
    images = torch.randn(2, 3, 4, 4)
    kept = augment(images, torch.full((2, 2), pad), torch.zeros(2, dtype=torch.bool), pad)
    assert torch.equal(kept, images)
    assert not draw_views(SEEDS, 0, EXAMPLES, AugmentationOptions(pad=pad, flip=False))[1].any()


def test_normalised_channels_have_mean_zero_and_deviation_one():
    images = torch.rand(50, 3, 4, 4, dtype=torch.float64)
    axes = (0, 2, 3)
    scaled = normalise(images, images.mean(axes), images.std(axes))
    torch.testing.assert_close(scaled.mean(axes), torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(scaled.std(axes), torch.ones(3, dtype=torch.float64))
