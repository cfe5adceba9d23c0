import pandas as pd
import pytest

from kd_uncertainty import schemas
from kd_uncertainty.errors import UserError

CURVES = pd.DataFrame({"student": [0], "epoch": [1], "train_loss": [0.5]})


def test_a_table_that_keeps_its_contract_passes_and_may_have_more_columns():
    schemas.student_curves(CURVES)
    schemas.student_curves(CURVES.assign(more="x"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (CURVES.drop(columns="epoch"), "'epoch' is missing"),
        (CURVES.assign(train_loss="high"), "'train_loss' must hold float"),
        (CURVES.assign(student=0.5), "'student' must hold int"),
        ({"student": [0]}, "a data frame is needed"),
    ],
)
def test_a_table_that_breaks_its_contract_is_refused(data, words):
    with pytest.raises(UserError, match=words):
        schemas.student_curves(data)


def test_an_example_may_not_be_there_twice():
    row = {"example_id": 3, "split": "train", "inputs": [0.0], "target": 0, "source_target": 0, "label_flipped": False}
    with pytest.raises(UserError, match="twice"):
        schemas.examples(pd.DataFrame([row, row]))
