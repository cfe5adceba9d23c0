"""The section on students' own uncertainty: entropies against scipy, a world without information in closed form."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import stats

from kd_uncertainty.errors import UserError
from kd_uncertainty.regression._training import full_batch_fit
from kd_uncertainty.regression.classification import classification_data, student_targets
from kd_uncertainty.regression.student_output import (
    StudentOutputOptions,
    class_variance,
    output_rows,
    predictive_entropy,
    student_output_table,
    subset_means,
)
from kd_uncertainty.tasks.bundled import LABEL_NOISE
from kd_uncertainty.uncertainty.students import mean_ratio

COLUMNS = [
    "source", "role", "model", "target", "subset", "num_students", "num_points", "entropy", "entropy_lower",
    "entropy_upper", "intra_variance", "intra_variance_lower", "intra_variance_upper", "accuracy", "accuracy_lower",
    "accuracy_upper", "entropy_ratio", "entropy_ratio_lower", "entropy_ratio_upper", "soft_ratio", "soft_ratio_lower",
    "soft_ratio_upper",
]  # fmt: skip


def quick(*hidden, epochs=30):
    return full_batch_fit(list(hidden), epochs=epochs, learning_rate=0.05)


def options(**settings):
    fits = {"teacher": quick(8), "network": quick(4), "logistic": quick()}
    return StudentOutputOptions(**{"sources": {"blobs": {}}, **fits, "num_students": 4, **settings})


def blobs(rows=150, seed=0):
    """Three classes that overlap, with names."""
    generator = np.random.default_rng(seed)
    codes = np.arange(rows) % 3
    inputs = generator.standard_normal((rows, 2)) + 1.2 * codes[:, None]
    return pd.DataFrame({"a": inputs[:, 0], "b": inputs[:, 1], "target": [f"class {code}" for code in codes]})


def no_information(rows=200):
    """Inputs that say nothing: all that can be learnt are the classes' shares, 70 % and 30 %."""
    return pd.DataFrame({"a": np.ones(rows), "target": np.where(np.arange(rows) % 10 < 7, "often", "seldom")})


def test_entropy_and_variance_are_those_of_the_textbook():
    probabilities = np.random.default_rng(0).dirichlet([0.5] * 4, size=(3, 50))
    np.testing.assert_allclose(predictive_entropy(probabilities), stats.entropy(probabilities, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(class_variance(probabilities), 1 - (probabilities**2).sum(-1), rtol=1e-9)
    certain = np.array([[1.0, 0.0, 0.0], [1 - 1e-12, 1e-12, 0.0]])
    assert predictive_entropy(certain)[0] == 0.0
    assert not np.signbit(predictive_entropy(certain)[0])
    np.testing.assert_allclose(class_variance(certain), [0.0, 2e-12], rtol=1e-3)


def test_means_over_subsets_know_each_students_own_points():
    values = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    chosen = np.array([[True, False, True], [False, True, False], [False, False, False]])
    np.testing.assert_array_equal(subset_means(values, chosen), [2.0, 5.0, np.nan])


SURE, UNSURE, WRONG = [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]


def test_rows_split_points_by_each_students_own_correctness():
    probabilities = np.array([[SURE, WRONG, SURE], [SURE, SURE, SURE], [WRONG, SURE, SURE]])
    labels = np.array([0, 0, 0])
    teacher = np.array([SURE, UNSURE, SURE])  # right everywhere
    whole, right, wrong = output_rows(probabilities, labels, 0.95, teacher)
    low, high = stats.entropy(SURE), stats.entropy(WRONG)
    assert [row["subset"] for row in (whole, right, wrong)] == ["all", "correct", "incorrect"]
    assert [row["num_students"] for row in (whole, right, wrong)] == [3, 3, 2]
    assert [row["num_points"] for row in (whole, right, wrong)] == pytest.approx([3, 7 / 3, 2 / 3])
    own = [(2 * low + high) / 3, low, (2 * low + high) / 3]
    assert whole["entropy"] == pytest.approx(np.mean(own))
    half = stats.t.ppf(0.975, 2) * np.std(own, ddof=1) / np.sqrt(3)
    assert whole["entropy_upper"] == pytest.approx(np.mean(own) + half)
    assert right["entropy"] == pytest.approx(low)
    assert wrong["entropy"] == pytest.approx(high)
    assert wrong["intra_variance"] == pytest.approx(1 - 0.4**2 - 0.6**2)
    assert [row["accuracy"] for row in (whole, right, wrong)] == pytest.approx([7 / 9] * 3)
    of_teacher = (2 * low + stats.entropy(UNSURE)) / 3
    assert whole["entropy_ratio"] == pytest.approx(np.mean(own) / of_teacher)
    assert right["entropy_ratio"] == pytest.approx(low / of_teacher)
    assert np.isnan(wrong["entropy_ratio"])  # the teacher has no such points


def test_the_ratio_to_soft_labels_is_paired_and_of_the_students_that_have_both():
    labels = np.array([0, 0])
    probabilities = np.array([[SURE, SURE], [SURE, WRONG], [UNSURE, SURE], [SURE, SURE]])
    soft = np.array([[UNSURE, WRONG], [UNSURE, WRONG], [UNSURE, SURE], [UNSURE, UNSURE]])
    whole, right, wrong = output_rows(probabilities, labels, 0.95, soft=soft)
    low, high = stats.entropy(SURE), stats.entropy(WRONG)
    found = mean_ratio(
        np.array([low, (low + high) / 2, (low + high) / 2, low]), np.array([high, high, (low + high) / 2, high])
    )
    assert [whole[f"soft_ratio{bound}"] for bound in ("", "_lower", "_upper")] == pytest.approx(list(found))
    assert right["soft_ratio"] == pytest.approx((low + low + (low + high) / 2 + low) / (3 * high + (low + high) / 2))
    assert wrong["soft_ratio"] == pytest.approx(1.0)  # student 1 alone has such points both times
    assert np.isnan(wrong["soft_ratio_lower"])


def test_an_empty_subset_has_no_figures():
    wrong = output_rows(np.array([[[0.9, 0.1]], [[0.8, 0.2]], [[0.7, 0.3]]]), np.array([0]), 0.95)[2]
    assert wrong["num_students"] == 0
    assert wrong["num_points"] == 0.0
    names = ("entropy", "entropy_upper", "intra_variance", "entropy_ratio", "soft_ratio")
    assert np.isnan([wrong[name] for name in names]).all()
    assert np.isfinite(wrong["accuracy"])


def test_targets_are_argmax_probabilities_or_labels_sampled_from_them():
    teacher = np.array([[0.7, 0.2, 0.1], [0.1, 0.45, 0.45], [0.0, 0.0, 1.0]])
    np.testing.assert_array_equal(student_targets(teacher, "soft", 3, 0), teacher[None])
    np.testing.assert_array_equal(student_targets(teacher, "argmax", 3, 0), np.eye(3)[[0, 1, 2]][None])
    students = 4000
    labels = student_targets(teacher, "label", students, 0)
    assert labels.shape == (students, 3, 3)
    assert set(np.unique(labels)) == {0.0, 1.0}
    assert (labels.sum(axis=-1) == 1).all()
    assert (np.abs(labels.mean(axis=0) - teacher) <= 4 * np.sqrt(teacher * (1 - teacher) / students)).all()
    together = (labels[:, 0, 0] * labels[:, 1, 1]).mean()  # examples are drawn independently
    assert abs(together - 0.7 * 0.45) < 4 * np.sqrt(0.25 / students)
    np.testing.assert_array_equal(student_targets(teacher, "label", 5, 0), labels[:5])


def test_the_split_is_stratified_and_what_a_table_suggests_as_noise_is_ignored():
    table = blobs(300)
    table.attrs[LABEL_NOISE] = 0.5
    data = classification_data(table, "target", seed=4)
    assert (len(data.train_labels), len(data.test_labels), data.num_classes) == (240, 60, 3)
    assert np.bincount(data.test_labels).tolist() == [20, 20, 20]
    assert np.bincount(data.train_labels.numpy()).tolist() == [80, 80, 80]
    everything = np.concatenate([data.train_inputs.numpy(), data.test_inputs.numpy()])
    assert len(np.unique(everything, axis=0)) == 300  # no row is in both
    noisy = classification_data(table, "target", label_noise=0.25, seed=4)
    assert int((noisy.train_labels != data.train_labels).sum()) == 60
    np.testing.assert_array_equal(noisy.test_labels, data.test_labels)
    other = classification_data(table, "target", seed=5)
    assert not np.array_equal(other.train_inputs.numpy(), data.train_inputs.numpy())


def test_without_information_argmax_takes_all_uncertainty_and_soft_and_sampled_labels_keep_it():
    settings = {
        "teacher": quick(epochs=300),
        "logistic": quick(epochs=300),
        "models": ("logistic",),
        "num_students": 30,
    }
    found = student_output_table({"nothing": no_information()}, options(sources={"nothing": {}}, **settings))
    entropy, variance = stats.entropy([0.7, 0.3]), 2 * 0.7 * 0.3
    whole = found[found["subset"] == "all"].set_index("target")
    assert whole.loc["ground_truth", "entropy"] == pytest.approx(entropy, rel=1e-3)
    assert whole.loc["ground_truth", "intra_variance"] == pytest.approx(variance, rel=1e-3)
    assert whole.loc["soft", "entropy_ratio"] == pytest.approx(1.0, rel=1e-3)
    assert whole.loc["argmax", "entropy_ratio_upper"] < 0.1
    assert whole.loc["argmax", "soft_ratio_upper"] < 0.1
    assert whole.loc["soft", "soft_ratio"] == 1.0
    # the mean over students of p (1 - p), p a share of 160 sampled labels, is 159 / 160 of the teacher's
    error = (whole.loc["label", "intra_variance_upper"] - whole.loc["label", "intra_variance"]) / 1.96
    assert abs(whole.loc["label", "intra_variance"] - variance * 159 / 160) < 4 * error
    assert (whole["accuracy"] == 0.7).all()
    # every model answers the frequent class, and so is as uncertain where it is right as where it is wrong
    points = found.pivot(index="target", columns="subset", values="num_points")
    assert (points["correct"] == 28).all()
    assert (points["incorrect"] == 12).all()
    entropies = found.pivot(index="target", columns="subset", values="entropy")
    np.testing.assert_allclose(entropies["incorrect"], entropies["correct"], rtol=1e-9)


def test_rows_are_functions_of_the_seed_alone():
    tables = {"blobs": blobs(), "unused": blobs(30)}
    first = student_output_table(tables, options())
    assert list(first.columns) == COLUMNS
    students = [(model, target) for model in ("network", "logistic") for target in ("argmax", "soft", "label")]
    cells = [("teacher", "network", "ground_truth"), *(("student", *cell) for cell in students)]
    assert list(first[["role", "model", "target"]].itertuples(index=False, name=None))[::3] == cells
    teacher = first[first["role"] == "teacher"]
    assert teacher[["entropy_ratio", "entropy_lower", "accuracy_upper"]].isna().all(axis=None)
    assert (teacher["num_students"] == 1).all()
    assert student_output_table(tables, options(), threads=2).equals(first)
    alone = student_output_table(tables, options(models=("logistic",), targets=("label",)))
    ratio = [name for name in COLUMNS if name.startswith("soft_ratio")]
    assert alone[ratio].isna().all(axis=None)  # no students on soft labels to compare with
    assert (
        alone[3:]
        .drop(columns=ratio)
        .reset_index(drop=True)
        .equals(first[-3:].drop(columns=ratio).reset_index(drop=True))
    )
    assert not student_output_table(tables, options(seed=9)).equals(first)


def test_students_on_common_starts_differ_by_their_targets_alone():
    """A teacher as good as certain on all training examples makes its argmax and its soft labels the same."""
    table = blobs().assign(a=lambda frame: 20 * frame["target"].str[-1].astype(int) + frame["a"])
    found = student_output_table(
        {"blobs": table}, options(teacher=quick(32, epochs=400), models=("logistic",), targets=("argmax", "soft"))
    )
    whole = found[found["subset"] == "all"].set_index("target")
    assert whole.loc["ground_truth", "entropy"] < 1e-2
    assert whole.loc["argmax", "entropy"] == pytest.approx(whole.loc["soft", "entropy"], rel=0.05)


def test_a_source_may_be_a_table_made_ambiguous():
    sources = {"blobs": {}, "vague": {"table": "blobs", "label_noise": 0.3, "epochs": 5}}
    teacher = full_batch_fit([8], epochs=5, learning_rate=0.05)
    found = student_output_table({"blobs": blobs()}, options(sources=sources, models=("logistic",))).set_index("source")
    same = options(
        sources={"blobs": {"label_noise": 0.3}}, teacher=teacher, logistic=quick(epochs=5), models=("logistic",)
    )
    by_hand = student_output_table({"blobs": blobs()}, same).set_index("source")
    assert found.loc["vague"].reset_index(drop=True).equals(by_hand.reset_index(drop=True))
    whole = found[(found["subset"] == "all") & (found["role"] == "teacher")]["entropy"]
    assert whole["vague"] > whole["blobs"]


def test_progress_counts_every_student(capsys):
    student_output_table({"blobs": blobs()}, options(), progress=True)
    assert "24/24" in capsys.readouterr().err


def test_sources_can_be_switched_off_and_must_be_there():
    assert list(options(sources={"wine": None, "digits": {}}).sources) == ["digits"]
    with pytest.raises(UserError, match=r"no table 'blobs'.*known: wine"):
        student_output_table({"wine": blobs()}, options())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"targets": ("argmax", "argmax")}, "names a value twice"),
        ({"sources": {"wine": None}}, "at least 1 item"),
        ({"targets": ("hard",)}, "argmax"),
        ({"num_students": 2}, "greater than or equal to 3"),
        ({"sources": {"digits": {"label_noise": 1.0}}}, "less than 1"),
        ({"test_fraction": 0.96}, "less than 0.95"),
    ],
)
def test_impossible_options_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        StudentOutputOptions(**settings)
