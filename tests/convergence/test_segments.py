"""Segments of passes: equal, disjoint within a pass, and of whole batches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_uncertainty.convergence.segments import segment_length, segment_rows
from kd_uncertainty.errors import UserError


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 20), st.integers(1, 30))
def test_a_pass_is_cut_into_equal_segments_of_whole_batches(examples, segments, batch_size):
    if examples < segments:
        with pytest.raises(UserError, match="cannot be cut"):
            segment_length(examples, segments, batch_size)
        return
    length = segment_length(examples, segments, batch_size)
    assert length % batch_size == 0 or length < batch_size
    rows = segment_rows((5, 6), 3, segments, examples, length).numpy()
    assert rows.shape == (2, 3 * segments, length)
    for visited in rows.reshape(6, -1):
        assert len(set(visited.tolist())) == segments * length
        assert 0 <= visited.min() <= visited.max() < examples
    left_out = examples - segments * length
    assert left_out < segments * max(1, min(batch_size, length))


def test_passes_and_students_differ_and_students_depend_on_their_seed_alone():
    rows = segment_rows((5, 6), 2, 2, 50, 25).numpy().reshape(2, 2, 50)
    assert len(np.unique(rows.reshape(4, 50), axis=0)) == 4
    np.testing.assert_array_equal(segment_rows((6,), 2, 2, 50, 25).numpy().reshape(2, 50), rows[1])


def test_no_example_is_left_out_for_good():
    rows = segment_rows((1,), 20, 7, 41, 5)
    assert set(rows.flatten().tolist()) == set(range(41))
