"""The examples table as arrays."""

import numpy as np
import pandas as pd

from kd_uncertainty.convergence.examples import study_examples


def test_the_examples_table_becomes_arrays_in_order_of_example_id():
    table = pd.DataFrame(
        {
            "example_id": [2, 0, 1],
            "split": ["test", "train", "validation"],
            "inputs": [[2.0, 2.5], [0.0, 0.5], [1.0, 1.5]],
            "target": [1, 0, 1],
            "bayes_probabilities": [[0.2, 0.8], [0.9, 0.1], [0.4, 0.6]],
        }
    )
    found = study_examples(table, 2)
    np.testing.assert_array_equal(found.inputs, [[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]])
    assert found.splits.tolist() == ["train", "validation", "test"]
    np.testing.assert_array_equal(found.bayes, [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    assert found.part("validation").labels.tolist() == [1]
    assert study_examples(table.drop(columns="bayes_probabilities"), 2).bayes is None
