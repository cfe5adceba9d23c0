from itertools import chain, product

import pytest

from kd_uncertainty.errors import UserError
from kd_uncertainty.language.arms import SEEDS, draws_of, make_plan, num_responses_needed, pilot_draw, pilot_plan
from kd_uncertainty.language.options import LanguageArmOptions, LanguageStudentsOptions, PilotOptions

OPTIONS = LanguageStudentsOptions(
    arms=(
        LanguageArmOptions(method="multi", num_responses=(1, 4)),
        LanguageArmOptions(method="averaging", num_responses=(3,)),
    ),
    response_seeds=3,
    initialisation_seeds=2,
    order_seeds=2,
    pilot=PilotOptions(num_students=2),
)


def test_every_arm_crosses_the_same_independent_seeds():
    plan = make_plan(OPTIONS, 14)
    assert plan["student"].tolist() == list(range(3 * 3 * 2 * 2))
    arms = plan.drop_duplicates("arm")
    assert list(zip(arms["arm"], arms["method"], arms["num_responses"], strict=True)) == [
        (0, "multi", 1),
        (1, "multi", 4),
        (2, "averaging", 3),
    ]
    crossings = [list(rows[list(SEEDS)].itertuples(index=False, name=None)) for _, rows in plan.groupby("arm")]
    assert crossings[0] == crossings[1] == crossings[2]
    levels = [sorted({row[factor] for row in crossings[0]}) for factor in range(3)]
    assert [len(seeds) for seeds in levels] == [3, 2, 2]
    assert len(set().union(*levels)) == 7
    assert sorted(crossings[0]) == sorted(product(*levels))
    assert (plan.groupby("response_seed")["response_level"].nunique() == 1).all()
    assert set(plan["response_level"]) == {0, 1, 2}


def test_more_seeds_leave_the_others_as_they_were():
    more = OPTIONS.model_copy(update={"response_seeds": 5})
    fewer = make_plan(OPTIONS, 14)
    first = make_plan(more, 22).query("response_level < 3")
    assert first[[*SEEDS, "arm"]].to_dict("list") == fewer[[*SEEDS, "arm"]].to_dict("list")


def test_response_levels_share_no_draws_and_fewer_responses_are_the_first_of_more():
    blocks = [list(draws_of(OPTIONS, level, 4)) for level in range(3)]
    pilots = [pilot_draw(OPTIONS, number) for number in (1, 2)]
    assert sorted(chain(*blocks, pilots)) == list(range(num_responses_needed(OPTIONS)))
    for level, block in enumerate(blocks):
        assert list(draws_of(OPTIONS, level, 3)) == block[:3]


def test_pilots_are_one_untrained_student_and_trained_ones_from_seeds_of_their_own():
    pilots, plan = pilot_plan(OPTIONS), make_plan(OPTIONS, 14)
    assert list(pilots) == list(plan)
    assert pilots["method"].tolist() == ["untrained", "pilot", "pilot"]
    for name in SEEDS:
        assert pilots[name].is_unique
        assert not set(pilots[name]) & set(plan[name])


def test_too_few_responses_are_refused_with_the_number_that_is_needed():
    make_plan(OPTIONS, 14)
    with pytest.raises(UserError, match=r"3 response_seeds of up to 4 .* 2 pilots need 14 responses .* there are 13"):
        make_plan(OPTIONS, 13)


def test_an_arm_that_is_there_twice_is_refused():
    twice = OPTIONS.model_copy(update={"arms": (*OPTIONS.arms, LanguageArmOptions(method="multi", num_responses=(4,)))})
    with pytest.raises(UserError, match="method multi with num_responses 4 is declared twice"):
        make_plan(twice, 100)
