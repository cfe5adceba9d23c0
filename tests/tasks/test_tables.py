import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from kd_uncertainty.errors import UserError
from kd_uncertainty.tasks.bundled import load_bundled
from kd_uncertainty.tasks.noise import flip_labels
from kd_uncertainty.tasks.options import IngestionOptions
from kd_uncertainty.tasks.sources import table_digest
from kd_uncertainty.tasks.tables import prepare_task

OPTIONS = {"target": "y", "label_noise": 0.0, "seed": 5}


def options(**changes):
    return IngestionOptions(**{**OPTIONS, **changes})


def table(rows=120, seed=0):
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "size": generator.normal(10.0, 3.0, rows),
            "colour": generator.choice(["red", "green", "blue"], rows),
            "on": generator.random(rows) < 0.5,
            "y": generator.choice(["yes", "no"], rows),
        }
    )


def inputs(examples, split=None):
    rows = examples if split is None else examples[examples["split"] == split]
    return np.stack(rows["inputs"].to_list())


def test_every_row_becomes_one_example_in_exactly_one_split():
    source = table()
    examples, description = prepare_task(source, options())
    assert examples["example_id"].tolist() == list(range(len(source)))
    assert set(examples["split"]) == {"train", "validation", "test"}
    assert description["num_examples"] == examples["split"].value_counts().to_dict()
    assert description["num_examples"]["test"] == pytest.approx(0.2 * len(source), abs=1)
    assert description["num_examples"]["validation"] == pytest.approx(0.2 * len(source), abs=1)


def test_the_split_keeps_the_shares_of_the_classes():
    examples, _ = prepare_task(load_bundled("digits"), IngestionOptions(target="target"))
    shares = examples.groupby("split")["target"].value_counts(normalize=True).unstack()
    assert (shares.max() - shares.min()).max() < 0.01


def test_labels_are_sorted_class_names_and_the_source_is_kept_in_order():
    source = table()
    examples, description = prepare_task(source, options())
    assert description["classes"] == ["no", "yes"]
    assert [description["classes"][code] for code in examples["target"]] == source["y"].tolist()


def test_integer_classes_are_ordered_as_numbers():
    source = table().assign(y=np.arange(120) % 12)
    assert prepare_task(source, options())[1]["classes"] == [str(code) for code in range(12)]


def test_preprocessing_is_fitted_on_the_training_split_only():
    source = table()
    examples, description = prepare_task(source, options())
    column = description["features"].index("size")
    train = inputs(examples, "train")[:, column]
    assert train.mean() == pytest.approx(0.0, abs=1e-6)
    assert train.std() == pytest.approx(1.0, abs=1e-6)
    # Changing a test row changes no other row's inputs: nothing of the test split was fitted on.
    changed = source.copy()
    row = int(examples.loc[examples["split"] == "test", "example_id"].iloc[0])
    changed.loc[row, "size"] = 1e6
    other = np.delete(inputs(prepare_task(changed, options())[0]), row, axis=0)
    np.testing.assert_array_equal(other, np.delete(inputs(examples), row, axis=0))


def test_missing_values_are_imputed_from_the_training_split():
    source = table()
    examples, description = prepare_task(source, options(standardise=False))
    holes = source.copy()
    train_rows = examples.loc[examples["split"] == "train", "example_id"].to_numpy()
    test_row = int(examples.loc[examples["split"] == "test", "example_id"].iloc[0])
    holes.loc[test_row, "size"] = np.nan
    holes.loc[test_row, "colour"] = None
    filled, description = prepare_task(holes, options(standardise=False))
    got = dict(zip(description["features"], inputs(filled)[test_row], strict=True))
    assert got["size"] == pytest.approx(source.loc[train_rows, "size"].median(), rel=1e-6)
    commonest = source.loc[train_rows, "colour"].value_counts().idxmax()
    assert got[f"colour_{commonest}"] == 1.0


@pytest.mark.parametrize("dtype", ["category", "string", object])
def test_categories_of_any_pandas_type_are_one_hot(dtype):
    source = table()
    source["colour"] = source["colour"].astype(dtype)
    examples, description = prepare_task(source, options())
    columns = [description["features"].index(f"colour_{name}") for name in ("red", "green", "blue")]
    one_hot = inputs(examples)[:, columns]
    np.testing.assert_array_equal(one_hot.sum(axis=1), 1.0)
    assert (one_hot.argmax(axis=1) == source["colour"].map({"red": 0, "green": 1, "blue": 2}).astype(int)).all()


def test_a_category_not_seen_in_training_is_all_zero():
    source = table()
    examples, _ = prepare_task(source, options())
    row = int(examples.loc[examples["split"] == "test", "example_id"].iloc[0])
    source.loc[row, "colour"] = "violet"
    unseen, description = prepare_task(source, options())
    columns = [index for index, name in enumerate(description["features"]) if name.startswith("colour")]
    assert inputs(unseen)[row, columns].sum() == 0.0
    assert np.isfinite(inputs(unseen)).all()


def test_label_noise_flips_exactly_the_stated_share_of_training_labels_to_another_class():
    source = load_bundled("digits")
    examples, description = prepare_task(source, IngestionOptions(target="target", label_noise=0.2))
    train = examples[examples["split"] == "train"]
    flipped = train["target"] != train["source_target"]
    assert flipped.sum() == round(0.2 * len(train)) == description["num_flipped"]
    assert (flipped == train["label_flipped"]).all()
    rest = examples[examples["split"] != "train"]
    assert (rest["target"] == rest["source_target"]).all()


def test_only_a_table_that_suggests_label_noise_gets_it_unasked():
    assert prepare_task(table(), options(label_noise=None))[1]["num_flipped"] == 0
    suggesting = table()
    suggesting.attrs["label_noise"] = 0.25
    train = prepare_task(suggesting, options(label_noise=None))[1]
    assert train["num_flipped"] == round(0.25 * train["num_examples"]["train"])
    assert train["label_noise"] == 0.25
    assert prepare_task(suggesting, options(label_noise=0.0))[1]["num_flipped"] == 0


def test_flipped_labels_are_uniform_over_the_other_classes():
    labels = np.zeros(40_000, dtype=np.int64)
    noisy = flip_labels(labels, np.arange(40_000), 5, 1.0, seed=3)
    counts = np.bincount(noisy, minlength=5)
    assert counts[0] == 0
    standard_error = np.sqrt(40_000 * 0.25 * 0.75)
    assert (np.abs(counts[1:] - 10_000) < 4 * standard_error).all()


def test_the_same_seed_gives_the_same_examples_and_another_seed_others():
    source = table()
    first, again = prepare_task(source, options())[0], prepare_task(source, options())[0]
    pd.testing.assert_frame_equal(first, again)
    assert (prepare_task(source, options(seed=6))[0]["split"] != first["split"]).any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns="y"), ["'y'", "missing", "ingestion.target"]),
        (lambda t: t.assign(y="yes"), ["'y'", "single class"]),
        (lambda t: t.assign(size=np.nan), ["'size'", "all NaN", "drop_columns"]),
        (lambda t: t.assign(y=np.arange(len(t)).astype(str)), ["120 examples for 120 classes"]),
        (lambda t: t.assign(y=["rare", *["yes", "no"] * 59, "yes"]), ["'rare'", "1 examples"]),
        (lambda t: t.assign(y=[None, *t["y"][1:]]), ["'y'", "empty in 1 row;"]),
        (lambda t: t.assign(y=np.linspace(0, 1, len(t)).round(1)), ["'y'", "real numbers"]),
        (lambda t: t.assign(size=[np.inf, *t["size"][1:]]), ["'size'", "infinite"]),
        (lambda t: t.assign(when=pd.Timestamp("2026-01-01")), ["'when'", "dates"]),
        (lambda t: t[["y"]], ["no input column"]),
    ],
)
def test_an_unusable_table_is_refused_in_one_sentence(change, words):
    with pytest.raises(UserError) as error:
        prepare_task(change(table()), options())
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_dropped_columns_are_no_inputs_and_unknown_ones_are_named():
    _, description = prepare_task(table(), options(drop_columns=("colour",)))
    assert not any(name.startswith("colour") for name in description["features"])
    with pytest.raises(UserError, match="wieght"):
        prepare_task(table(), options(drop_columns=("wieght",)))


def test_the_digest_of_a_table_sees_every_cell_and_name():
    source = table()
    digest = table_digest(source)
    assert table_digest(source.copy()) == digest
    assert table_digest(source.rename(columns={"size": "length"})) != digest
    changed = source.copy()
    changed.loc[7, "size"] += 1e-9
    assert table_digest(changed) != digest


def test_bundled_tables_are_known_by_name():
    assert load_bundled("wine").shape == (178, 14)
    with pytest.raises(UserError, match="choose one of breast_cancer, diabetes, digits, wine"):
        load_bundled("iris")


def test_inputs_of_the_same_name_are_told_apart():
    source = table().assign(colour_red=np.arange(120.0), size_x=["1"] * 120, size_x_1=np.arange(120.0) ** 2)
    examples, description = prepare_task(source, options(standardise=False))
    names = description["features"]
    assert len(set(names)) == len(names) == description["num_inputs"] == inputs(examples).shape[1]
    by_name = dict(zip(names, inputs(examples).T, strict=True))
    np.testing.assert_array_equal(by_name["colour_red"], np.arange(120))
    np.testing.assert_array_equal(by_name["colour_red_2"], source["colour"] == "red")
    np.testing.assert_array_equal(by_name["size_x_1"], np.arange(120) ** 2)
    np.testing.assert_array_equal(by_name["size_x_1_2"], 1)


def test_a_new_name_takes_no_other_columns_name():
    source = table().assign(colour_red=np.arange(120.0), colour_red_2=-np.arange(120.0))
    examples, description = prepare_task(source, options(standardise=False))
    by_name = dict(zip(description["features"], inputs(examples).T, strict=True))
    np.testing.assert_array_equal(by_name["colour_red_2"], -np.arange(120))
    np.testing.assert_array_equal(by_name["colour_red_3"], source["colour"] == "red")


def cells(value):
    return lambda t: t.assign(extra=pd.Series([None, *[value] * (len(t) - 1)], dtype=object))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (cells([1.0, 2.0]), "lists or other collections"),
        (cells({"a": 1}), "lists or other collections"),
        (cells({1}), "lists or other collections"),
        (cells((1, 2)), "lists or other collections"),
        (cells(np.zeros(2)), "lists or other collections"),
        (lambda t: t.assign(extra=pd.array([[1]] * len(t), pd.ArrowDtype(pa.list_(pa.int64())))), "collections"),
        (lambda t: t.assign(extra=pd.Timedelta("1 day")), "durations"),
        (cells(datetime.timedelta(1)), "durations"),
        (cells(datetime.date(2026, 1, 1)), "dates"),
        (lambda t: t.assign(extra=pd.Timestamp("2026-01-01", tz="UTC")), "dates"),
        (lambda t: t.assign(extra=pd.Period("2026-01")), "dates"),
        (lambda t: t.assign(extra=1j), "complex numbers"),
        (lambda t: t.assign(extra=[1e151, *t["size"][1:]]), "too large"),
    ],
)
def test_columns_that_are_no_inputs_are_refused_unless_they_are_dropped(change, words):
    source = change(table())
    with pytest.raises(UserError, match=rf"column 'extra' holds .*{words}.*ingestion\.drop_columns"):
        prepare_task(source, options())
    dropped = prepare_task(source, options(drop_columns=("extra",)))
    plain = prepare_task(table(), options())
    pd.testing.assert_frame_equal(dropped.examples, plain.examples)
    assert dropped.description == plain.description


def test_a_target_of_lists_is_refused():
    with pytest.raises(UserError, match=r"target column 'y' holds lists .*ingestion\.target"):
        prepare_task(table().assign(y=[[1], [2]] * 60), options())


def test_columns_without_a_text_for_a_name_are_called_by_their_number():
    source = table()
    numbered = source.set_axis(range(4), axis=1)
    named = prepare_task(source, options(drop_columns=("on",)))
    found = prepare_task(numbered, IngestionOptions.model_validate(OPTIONS | {"target": 3, "drop_columns": [2]}))
    np.testing.assert_array_equal(inputs(found.examples), inputs(named.examples))
    assert found.description["target"] == "3"
    assert found.description["features"][0] == "0"
    assert options(target=0.5).target == "0.5"


def test_true_is_no_columns_name():
    with pytest.raises(ValueError, match="valid string"):
        IngestionOptions.model_validate({"target": True})  # what YAML makes of a bare `on`


def test_columns_that_are_the_same_as_text_are_refused():
    with pytest.raises(UserError, match="columns 1 and '1' have the same name"):
        prepare_task(table().assign(**{"1": 0.0}).rename(columns={"size": 1}), options())
    with pytest.raises(UserError, match="column 'size' is there twice"):
        prepare_task(pd.concat([table(), table()[["size"]]], axis=1), options())


@pytest.mark.parametrize(
    ("values", "standardise"),
    [
        (lambda x, train: np.where(np.arange(120) == train, 3e40, x), False),
        (lambda x, train: x * 1e50, False),
        (lambda x, train: np.where(np.arange(120) == train, 1e300, x), True),
        (lambda x, train: np.where(np.arange(120) == train, -1e300, x), False),
    ],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_numbers_beyond_float32_are_refused_by_the_name_of_their_column(values, standardise, split):
    source = table()
    examples, _ = prepare_task(source, options())
    row = int(examples.loc[examples["split"] == split, "example_id"].iloc[0])
    source["size"] = values(source["size"].to_numpy(), row)
    with pytest.raises(UserError, match="column 'size' holds values that are too large"):
        prepare_task(source, options(standardise=standardise))


def test_an_outlier_that_only_scaling_makes_too_large_is_refused_and_large_columns_are_scaled():
    source = table()
    examples, _ = prepare_task(source, options())
    small = source.assign(size=source["size"] * 1e-10)
    row = int(examples.loc[examples["split"] == "test", "example_id"].iloc[0])
    small.loc[row, "size"] = 1e38
    with pytest.raises(UserError, match="column 'size' holds values that are too large"):
        prepare_task(small, options())
    large, _ = prepare_task(source.assign(size=source["size"] * 1e100), options())
    np.testing.assert_allclose(inputs(large), inputs(examples), atol=1e-6)


def test_a_class_that_pandas_reads_as_empty_is_explained(tmp_path):
    path = tmp_path / "table.csv"
    table().assign(y=["NA", "yes", "no"] * 40).to_csv(path, index=False)
    with pytest.raises(UserError, match=r"empty in 40 rows; .* NA .*load_args: \{keep_default_na: false\}"):
        prepare_task(pd.read_csv(path), options())
    assert prepare_task(pd.read_csv(path, keep_default_na=False), options())[1]["classes"] == ["NA", "no", "yes"]
    with pytest.raises(UserError) as error:
        prepare_task(table().assign(y=[None, None, *[0.0, 1.0] * 59]), options())
    assert "keep_default_na" not in str(error.value)


def test_a_column_of_very_many_categories_is_warned_of_once(caplog):
    rows = 300
    source = table(rows).assign(code=[f"c{number}" for number in range(rows)], other=[f"o{n}" for n in range(rows)])
    prepare_task(source.assign(other="o", code=[f"c{number % 100}" for number in range(rows)]), options())
    assert caplog.messages == []
    prepare_task(source, options())
    (message,) = caplog.messages
    assert "'code' (180), 'other' (180)" in message
    assert "\n" not in message
