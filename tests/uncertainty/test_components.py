import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_uncertainty.errors import UserError
from kd_uncertainty.uncertainty.components import (
    COMPONENTS,
    anova_components,
    components_from_pairs,
    crossed_design,
    gram_matrices,
    pair_means,
)

from .worlds import crossing, effects_world, true_components

DEVIATIONS = (1.0, 0.7, 0.4, 0.5, 0.3, 0.2, 0.6)


def mean_square_components(values: np.ndarray) -> dict[str, float]:
    """Textbook ANOVA of (R, I, O) scalars: mean squares by explicit loops, then E[MS] of the random model solved.

    With one observation a cell, E[MS_U] = sum over T containing U of sigma_T^2 times the levels outside T, for the
    seven effects T; the three-way interaction stands for the residual of the model.
    """
    shape = values.shape
    effects = [u for u in itertools.product((0, 1), repeat=3) if any(u)]

    def cell_mean(kept, cell):
        index = tuple(cell[f] if kept[f] else slice(None) for f in range(3))
        return values[index].mean()

    mean_squares, expectations = [], []
    for u in effects:
        subsets = [t for t in itertools.product((0, 1), repeat=3) if all(a <= b for a, b in zip(t, u, strict=True))]
        squares = 0.0
        for cell in itertools.product(*(range(n) for n in shape)):
            contrast = sum((-1) ** (sum(u) - sum(t)) * cell_mean(t, cell) for t in subsets)
            squares += contrast**2
        mean_squares.append(squares / np.prod([shape[f] - 1 for f in range(3) if u[f]]))
        expectations.append(
            [
                np.prod([shape[f] for f in range(3) if not t[f]])
                if all(a <= b for a, b in zip(u, t, strict=True))
                else 0
                for t in effects
            ]
        )
    solved = dict(zip(effects, np.linalg.solve(np.array(expectations, float), mean_squares), strict=True))
    main = [solved[1, 0, 0], solved[0, 1, 0], solved[0, 0, 1]]
    total = sum(solved.values())
    return dict(zip(COMPONENTS, [total, *main, total - sum(main)], strict=True))


@pytest.mark.parametrize("shape", [(4, 3, 2), (2, 2, 2), (3, 3, 3), (5, 2, 4)])
def test_equals_mean_squares_solved_for_the_three_way_random_model(shape):
    values = effects_world(np.random.default_rng(0), shape, DEVIATIONS, num_examples=3, num_classes=2)
    found = anova_components(values, crossing(shape))
    grid = values.reshape(*shape, 3, 2)
    expected = dict.fromkeys(COMPONENTS, 0.0)
    for e, c in itertools.product(range(3), range(2)):
        for name, value in mean_square_components(grid[..., e, c]).items():
            expected[name] += value / 3
    for name in COMPONENTS:
        assert found[name] == pytest.approx(expected[name], abs=1e-10)


def test_pair_means_by_enumeration_of_pairs():
    shape = (3, 2, 4)
    seeds = crossing(shape)
    values = np.random.default_rng(1).standard_normal((24, 5, 3))
    gram, _ = gram_matrices(values, crossed_design(seeds))
    means = pair_means(gram[0], shape)
    for shared in itertools.product((0, 1), repeat=3):
        pairs = [
            gram[0, s, t]
            for s, t in itertools.product(range(24), repeat=2)
            if tuple(int(a == b) for a, b in zip(seeds[s], seeds[t], strict=True)) == shared
        ]
        assert means[shared] == pytest.approx(np.mean(pairs), abs=1e-14)


@pytest.mark.parametrize(("factor", "level"), [(0, 2), (1, 0), (2, 3)])
def test_leaving_a_level_out_is_computing_without_its_students(factor, level):
    shape = (3, 3, 4)
    seeds = crossing(shape)
    values = np.random.default_rng(2).standard_normal((36, 5, 3))
    gram, _ = gram_matrices(values, crossed_design(seeds))
    reduced = tuple(n - (f == factor) for f, n in enumerate(shape))
    found = components_from_pairs(pair_means(gram[0], shape, (factor, level)), reduced).estimates
    kept = seeds[:, factor] != level
    expected = anova_components(values[kept], seeds[kept])
    np.testing.assert_allclose(found, list(expected.values()), atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)), st.integers(0, 2**32 - 1))
def test_the_four_sum_to_the_whole_and_one_level_gives_zero(shape, seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((int(np.prod(shape)), 3, 2))
    found = anova_components(values, crossing(shape))
    assert sum(list(found.values())[1:]) == pytest.approx(found["inter_unbiased"], abs=1e-12)
    for name, levels in zip(COMPONENTS[1:4], shape, strict=True):
        if levels == 1:
            assert found[name] == 0.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_invariant_to_the_order_of_students_to_labels_and_to_a_shift(seed):
    rng = np.random.default_rng(seed)
    values, seeds = rng.standard_normal((12, 4, 3)), crossing((3, 2, 2))
    expected = list(anova_components(values, seeds).values())
    order = rng.permutation(12)
    relabelled = 1_000_000 - 7 * seeds
    shifted = values + rng.standard_normal((4, 3)) * 100
    for other in (
        anova_components(values[order], seeds[order]),
        anova_components(values, relabelled),
        anova_components(shifted, seeds),
    ):
        np.testing.assert_allclose(list(other.values()), expected, atol=1e-10)


def test_one_factor_is_the_sample_variance():
    values = np.random.default_rng(3).standard_normal((6, 4, 3))
    found = anova_components(values, np.array([[r, 5, 9] for r in range(6)]))
    expected = values.var(axis=0, ddof=1).sum(axis=1).mean()
    assert found["inter_unbiased"] == pytest.approx(expected)
    assert found["response"] == pytest.approx(expected)
    assert found["residual"] == pytest.approx(0.0, abs=1e-15)


def test_level_variance_is_the_sample_variance_of_level_means():
    shape = (4, 3, 2)
    values = np.random.default_rng(4).standard_normal((24, 5, 3))
    gram, _ = gram_matrices(values, crossed_design(crossing(shape)))
    found = components_from_pairs(pair_means(gram[0], shape), shape).level_variance
    grid = values.reshape(*shape, 5, 3)
    for factor in range(3):
        means = grid.mean(axis=tuple(f for f in range(3) if f != factor))
        assert found[factor] == pytest.approx(means.var(axis=0, ddof=1).sum(axis=1).mean())


@pytest.mark.parametrize(("shape", "repetitions"), [((4, 3, 2), 2000), ((3, 2, 1), 2000)])
def test_unbiased_with_interactions(shape, repetitions):
    """Mean over simulated worlds within four standard errors of the truth; a fixed factor's effects join the others."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(repetitions):
        values = effects_world(rng, shape, DEVIATIONS, rank=3, num_examples=4, num_classes=2)
        found.append(list(anova_components(values, crossing(shape)).values()))
    found = np.array(found)
    r, i, _, ri, ro, io, rio = np.square(DEVIATIONS) * 2
    if shape[2] == 1:  # given the one order seed, its interactions belong to the other factors
        expected = np.array([r + i + ri + ro + io + rio, r + ro, i + io, 0.0, ri + rio])
    else:
        expected = true_components(DEVIATIONS, num_classes=2)
    error = np.maximum(found.std(axis=0) / np.sqrt(repetitions), 1e-15)
    assert (np.abs(found.mean(axis=0) - expected) < 4 * error).all()


def test_the_sample_variance_of_crossed_students_would_be_too_small():
    """Why inter_unbiased is not the ddof = 1 variance: 3 x 3 x 3 students share levels."""
    rng = np.random.default_rng(6)
    deviations = (1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    naive, unbiased = [], []
    for _ in range(1000):
        values = effects_world(rng, (3, 3, 3), deviations, rank=3, num_examples=4, num_classes=2)
        naive.append(values.var(axis=0, ddof=1).sum(axis=1).mean())
        unbiased.append(anova_components(values, crossing((3, 3, 3)))["inter_unbiased"])
    error = np.std(unbiased) / np.sqrt(1000)
    assert abs(np.mean(unbiased) - 6.0) < 4 * error
    assert np.mean(naive) < 6.0 - 10 * error


def test_blocks_average_to_the_whole_and_digits_survive_a_large_mean():
    values = np.random.default_rng(7).standard_normal((8, 11, 3)).astype(np.float32)
    design = crossed_design(crossing((2, 2, 2)))
    whole, _ = gram_matrices(values, design)
    blocks, shares = gram_matrices(values, design, 4)
    assert blocks.shape == (4, 8, 8)
    assert shares.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(np.tensordot(shares, blocks, axes=1), whole[0], atol=1e-13)
    far, _ = gram_matrices(values.astype(np.float64) + 1e6, design)
    np.testing.assert_allclose(far, whole, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    "seeds",
    [
        [[0, 0, 0], [1, 1, 0]],
        [[0, 0, 0], [0, 0, 0]],
        [[0, 0, 0], [0, 1, 0], [1, 0, 0]],
        [[0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0]],
    ],
)
def test_anything_but_a_full_crossing_is_refused(seeds):
    with pytest.raises(UserError, match="full crossing"):
        crossed_design(np.array(seeds))


def test_seeds_need_three_columns():
    with pytest.raises(UserError, match="one row"):
        crossed_design(np.zeros((4, 2), dtype=int))
