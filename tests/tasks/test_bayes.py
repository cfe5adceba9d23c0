"""Known class probabilities on their way from a source table through label noise to the examples."""

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty import schemas
from kd_uncertainty.errors import UserError
from kd_uncertainty.tasks.examples import bayes_probabilities, example_tensors
from kd_uncertainty.tasks.options import IngestionOptions
from kd_uncertainty.tasks.tables import prepare_task

TRANSITION = [[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]]
CLASSES = ["lark", "owl", "wren"]


def options(**changes):
    return IngestionOptions(**{"target": "species", "seed": 4, **changes})


def table(rows=240):
    """Labels drawn from known probabilities; their columns in another order than the classes."""
    generator = np.random.default_rng(0)
    known = generator.dirichlet(np.ones(3), rows)
    labels = (generator.random(rows)[:, None] >= known.cumsum(1)).sum(1)
    columns = {f"bayes_probability_{name}": known[:, code] for code, name in reversed(list(enumerate(CLASSES)))}
    return pd.DataFrame({"weight": generator.normal(size=rows), **columns, "species": np.array(CLASSES)[labels]}), known


def test_columns_of_the_source_become_probabilities_and_no_inputs():
    source, known = table()
    examples, task = prepare_task(source, options())
    assert task["bayes_probabilities"] == "exact"
    assert task["features"] == ["weight"]
    np.testing.assert_allclose(bayes_probabilities(examples), known, atol=1e-15)
    schemas.examples(examples)


def test_probabilities_are_those_of_the_split_in_order_of_example_id():
    source, known = table()
    examples, _ = prepare_task(source, options())
    shuffled = examples.sample(frac=1.0, random_state=1)
    for split in ("train", "validation", "test"):
        np.testing.assert_allclose(
            bayes_probabilities(shuffled, split), known[example_tensors(examples, split).example_ids], atol=1e-15
        )


@pytest.mark.parametrize("kind", ["flips", "transition"])
def test_noise_turns_p_into_p_t(kind):
    source, known = table()
    noise = {"label_noise": 0.2} if kind == "flips" else {"label_transition": TRANSITION}
    examples, task = prepare_task(source, options(**noise))
    assert task["bayes_probabilities"] == "exact"
    transition = np.array(TRANSITION)
    if kind == "flips":  # round(0.2 * 144) = 29
        share = task["num_flipped"] / task["num_examples"]["train"]
        assert share == 29 / 144
        transition = (1 - share) * np.eye(3) + share / 2 * (1 - np.eye(3))
    # by enumeration: the sum over source classes of P(source) P(label | source)
    expected = [
        [sum(row[source] * transition[source, label] for source in range(3)) for label in range(3)] for row in known
    ]
    np.testing.assert_allclose(bayes_probabilities(examples), expected, atol=1e-14)
    rest = examples[examples["split"] != "train"]
    assert (rest["target"] == rest["source_target"]).all()


def test_training_labels_follow_the_probabilities_they_are_given():
    """Over many seeds of the noise: frequencies of a training label against P T, within 4.5 standard errors."""
    source, _ = table(60)
    counts, probabilities, draws = np.zeros((60, 3)), np.zeros((60, 3)), np.zeros(60)
    for seed in range(50):
        examples, _ = prepare_task(
            source.drop(columns=list(source.filter(like="bayes"))), options(label_transition=TRANSITION, seed=seed)
        )
        train = (examples["split"] == "train").to_numpy()
        np.add.at(counts, (np.flatnonzero(train), examples.loc[train, "target"]), 1.0)
        probabilities = bayes_probabilities(examples)
        draws += train
    error = np.sqrt(probabilities * (1 - probabilities) / draws[:, None])
    assert (np.abs(counts / draws[:, None] - probabilities) <= 4.5 * error).all()


def test_without_columns_injected_noise_makes_them_assumed():
    source = table()[0][["weight", "species"]]
    examples, task = prepare_task(source, options(label_transition=TRANSITION))
    assert task["bayes_probabilities"] == "assumed"
    np.testing.assert_allclose(
        bayes_probabilities(examples), np.array(TRANSITION)[examples["source_target"]], atol=1e-15
    )
    schemas.examples(examples)


def test_without_columns_and_noise_they_are_unknown():
    source = table()[0][["weight", "species"]]
    for noise in (None, 0.0):
        examples, task = prepare_task(source, options(label_noise=noise))
        assert task["bayes_probabilities"] == "unknown"
        assert "bayes_probabilities" not in examples
        assert bayes_probabilities(examples) is None


def test_they_change_nothing_else():
    source, _ = table()
    plain = source[["weight", "species"]]
    ours, theirs = (prepare_task(one, options(label_noise=0.2))[0] for one in (source, plain))
    pd.testing.assert_frame_equal(ours.drop(columns="bayes_probabilities"), theirs.drop(columns="bayes_probabilities"))


def test_a_transition_takes_the_place_of_suggested_noise():
    source, _ = table()
    source.attrs["label_noise"] = 0.5
    task = prepare_task(source, options(label_transition=np.eye(3).tolist()))[1]
    assert (task["num_flipped"], task["label_noise"]) == (0, 0.0)


def test_another_prefix_leaves_the_columns_as_inputs():
    source, _ = table()
    _, task = prepare_task(source, options(bayes_prefix="truth_"))
    assert task["bayes_probabilities"] == "unknown"
    assert task["num_inputs"] == 4
    renamed = source.rename(columns=lambda name: name.replace("bayes_probability_", "truth_"))
    assert prepare_task(renamed, options(bayes_prefix="truth_"))[1]["bayes_probabilities"] == "exact"


def test_eleven_numbered_classes_are_matched_by_number():
    codes = np.arange(220) % 11
    known = {f"bayes_probability_{code}": (codes == code).astype(float) for code in range(11)}
    examples, _ = prepare_task(pd.DataFrame({"x": range(220), "y": codes, **known}), options(target="y"))
    np.testing.assert_array_equal(bayes_probabilities(examples).argmax(1), codes)


FIRST = "bayes_probability_owl"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns=FIRST), r"column 'bayes_probability_owl' is missing \(there are: .*wren"),
        (
            lambda t: t.assign(bayes_probability_crow=0.0),
            r"'bayes_probability_crow' is the probability of a class that",
        ),
        (
            lambda t: t.assign(**{FIRST: -0.25}),
            r"'bayes_probability_owl' has a negative probability in row 0 \(-0.25\)",
        ),
        (lambda t: t.assign(**{FIRST: t[FIRST] + (t.index == 7)}), r"probabilities of row 7 .* sum to 2, not 1"),
        (lambda t: t.assign(**{FIRST: t[FIRST].where(t.index != 9)}), r"'bayes_probability_owl' has no value in row 9"),
        (lambda t: t.assign(**{FIRST: "high"}), r"'bayes_probability_owl' must hold probabilities, holds string"),
        (lambda t: t.drop(columns="weight"), "no input column beside the target and the class probabilities"),
    ],
)
def test_columns_that_are_no_probabilities_are_refused(change, words):
    with pytest.raises(UserError, match=words):
        prepare_task(change(table()[0]), options())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"label_transition": [[0.5, 0.5], [0.0, 1.0, 0.0]]}, "must be square"),
        ({"label_transition": [[0.5, 0.4], [0.0, 1.0]]}, r"row 0 sums to 0\.9, not 1"),
        ({"label_transition": [[1.5, -0.5], [0.0, 1.0]]}, "less than or equal to 1"),
        ({"label_transition": [[1.0, 0.0], [0.0, 1.0]], "label_noise": 0.1}, "set one of them"),
        ({"bayes_prefix": ""}, "at least 1 character"),
    ],
)
def test_settings_that_are_no_noise_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        options(**settings)


def test_a_transition_for_other_classes_is_refused():
    with pytest.raises(UserError, match="2 rows and columns, and column 'species' has 3 classes"):
        prepare_task(table()[0], options(label_transition=[[1.0, 0.0], [0.0, 1.0]]))


@pytest.mark.parametrize("rows", [[[0.5, 0.4]] * 2, [[0.5, 0.5], [1.0]], [[1.5, -0.5]] * 2])
def test_the_tables_contract_refuses_what_is_no_distribution(rows):
    row = {"split": "train", "inputs": [0.0], "target": 0, "source_target": 0, "label_flipped": False}
    examples = pd.DataFrame([{"example_id": number, **row} for number in range(2)])
    schemas.examples(examples.assign(bayes_probabilities=[[0.5, 0.5]] * 2))
    with pytest.raises(UserError, match="no distribution"):
        schemas.examples(examples.assign(bayes_probabilities=rows))
