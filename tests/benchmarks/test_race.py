from __future__ import annotations

import pytest

from benchmarks import race
from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.workers import ContenderError, Timing

from .problems import small

QUICK = Contender(
    "quick", "quick", "m:quick", settings=({"chunk_size": 4}, {"chunk_size": 64}), layouts=((1, 1), (2, 1))
)
LOOP = Contender("loop", "a loop", "m:loop", sequential=True, layouts=((1, 1), (2, 1)))


class Clock:
    """Workers whose times are written down beforehand; notes who was asked."""

    def __init__(self, seconds):
        self.seconds, self.asked = seconds, []

    def run(self, function, problem, students, seed, layout, setting):
        self.asked.append((function, students, seed, layout, dict(setting)))
        answer = self.seconds(function, seed, layout, setting)
        if isinstance(answer, Exception):
            raise answer
        return Timing(answer, [], 1000 * seed)


def run(clock, entries, rounds=(3, 3), **options):
    return race.run_race(clock, small(), entries, seconds=0, rounds=rounds, say=lambda line: None, **options)


def test_chunks_are_no_larger_than_what_a_process_trains():
    entries = race.entries_of(QUICK, 8, QUICK.settings, QUICK.layouts)
    assert [(entry.layout, entry.setting["chunk_size"]) for entry in entries] == [
        ((1, 1), 4), ((1, 1), 8), ((2, 1), 4),  # with two processes both settings are chunks of four
    ]  # fmt: skip


def test_sequential_contenders_train_few_students():
    (entry,) = race.entries_of(LOOP, 1000, [{}], [(1, 1)])
    assert entry.students == race.SEQUENTIAL_STUDENTS


def test_one_student_needs_one_process():
    assert [entry.layout for entry in race.entries_of(LOOP, 1, [{}], LOOP.layouts)] == [(1, 1)]


def test_contenders_take_turns_round_after_round():
    clock = Clock(lambda *_: 1.0)
    entries = [race.Entry(QUICK, (1, 1), {}, 8), race.Entry(LOOP, (1, 1), {}, 4)]
    seen = []
    run(clock, entries, between=lambda: seen.append(len(clock.asked)))
    assert [(function, seed) for function, _, seed, *_ in clock.asked[2:]] == [
        ("m:quick", 1), ("m:loop", 1), ("m:quick", 2), ("m:loop", 2), ("m:quick", 3), ("m:loop", 3),
    ]  # fmt: skip
    assert seen == [2, 4, 6]  # the machine is measured before every round, after the warm-up


def test_the_warm_up_compiles_for_the_very_shapes_but_is_not_timed():
    clock = Clock(lambda function, seed, *_: 100.0 if seed == 0 else 1.0)
    compiled = Contender("jit", "jit", "m:jit", warm_up=True)
    (entry,) = run(clock, [race.Entry(compiled, (1, 1), {}, 64)])
    assert clock.asked[0][1] == 64
    assert entry.seconds == [1.0, 1.0, 1.0]


def test_slow_layouts_of_a_contender_drop_out_after_one_round():
    clock = Clock(lambda function, seed, layout, setting: 2.0 if layout == (2, 1) else 1.0)
    entries = run(clock, [race.Entry(QUICK, layout, {}, 8) for layout in QUICK.layouts])
    assert [len(entry.seconds) for entry in entries] == [3, 1]
    assert race.best_of(entries)["quick"].layout == (1, 1)


def test_slow_contenders_stay():
    clock = Clock(lambda function, *_: 100.0 if function == "m:loop" else 1.0)
    entries = run(clock, [race.Entry(QUICK, (1, 1), {}, 8), race.Entry(LOOP, (1, 1), {}, 4)])
    assert [len(entry.seconds) for entry in entries] == [3, 3]


def test_the_best_entry_has_the_smallest_median():
    first, second = race.Entry(QUICK, (1, 1), {}, 8), race.Entry(QUICK, (2, 1), {}, 8)
    first.seconds, second.seconds = [1.0, 3.0, 3.0], [2.0, 2.0, 9.0]
    assert race.best_of([first, second])["quick"] is second


def test_who_fails_is_named_and_left_out():
    clock = Clock(lambda function, *_: ContenderError("no compiler") if function == "m:loop" else 1.0)
    said = []
    finished = race.run_race(
        clock,
        small(),
        [race.Entry(QUICK, (1, 1), {}, 8), race.Entry(LOOP, (1, 1), {}, 4)],
        seconds=0,
        rounds=(1, 1),
        say=said.append,
    )
    assert [entry.contender.name for entry in finished] == ["quick"]
    assert "a loop" in said[0]
    assert "no compiler" in said[0]


def test_rounds_stop_when_the_time_is_spent():
    entries = [race.Entry(QUICK, (1, 1), {}, 8)]
    assert len(run(Clock(lambda *_: 1.0), entries, rounds=(2, 100))[0].seconds) == 2  # 0 seconds: the least
    entries = [race.Entry(QUICK, (1, 1), {}, 8)]
    finished = race.run_race(Clock(lambda *_: 1.0), small(), entries, seconds=60, rounds=(2, 5), say=lambda line: None)
    assert len(finished[0].seconds) == 5


def test_tuning_takes_the_fastest_setting():
    sizes = {8: 3.0, 32: 1.0, 64: 2.0, 128: 4.0}
    clock = Clock(lambda function, seed, layout, setting: sizes[setting["chunk_size"]])
    settings = {"vmap": CONTENDERS["vmap"].settings, "dataloader": ({},)}
    chosen = race.tune(clock, small(), settings, 128, lambda line: None)
    assert chosen == {"vmap": {"backend": "vmap", "chunk_size": 32}, "dataloader": {}}


def test_times_are_per_student_and_epoch():
    entry = race.Entry(LOOP, (1, 1), {}, 4)
    entry.seconds, entry.memory = [0.001, 0.002, 0.003], 5
    row = entry.as_result(small(epochs=10), 128)
    assert row["median"] == pytest.approx(0.002 * 1e6 / (4 * 10))
    assert row["quartiles"] == pytest.approx([0.0015 * 1e6 / 40, 0.0025 * 1e6 / 40])
    assert (row["students"], row["trained_per_turn"], row["turns"]) == (128, 4, 3)
