"""Students of a language model: fine-tuned on what they are given, then asked; one after another, or in processes."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from kd_uncertainty.errors import UserError
from kd_uncertainty.language._precision import precision_of
from kd_uncertainty.language._response_table import NO_TOKEN
from kd_uncertainty.language._student_checks import check_distributions, check_lengths
from kd_uncertainty.language._student_shard import stacked
from kd_uncertainty.language.arms import UNTRAINED
from kd_uncertainty.language.examples import examples_of, needs_distributions, with_tokens
from kd_uncertainty.language.generation import Sampled, sample_answers
from kd_uncertainty.language.models import (
    build_student,
    check_same_tokenizer,
    load_tokenizer,
    model_token,
    student_options,
    vocabulary_digest,
)
from kd_uncertainty.language.options import LanguageStudentsOptions, ModelOptions
from kd_uncertainty.language.pretrained import import_transformers
from kd_uncertainty.language.responses import stated_context_length
from kd_uncertainty.language.training import fine_tune
from kd_uncertainty.population.processes import Counter, Shard, run_shards
from kd_uncertainty.population.seeds import derive_seed

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FORMAT_VERSION = 2
"""Raise when the arithmetic or the content of shards changes, so that old shards no longer count."""


@dataclass(frozen=True, eq=False)
class StudentJob:
    """All students of a plan, one a shard, and all that they are trained on and asked.

    Attributes:
        plan: of ``arms.make_plan`` or ``arms.pilot_plan``.
        prompts: columns prompt, split and text; students learn from those of the split train, and answer all.
        responses: of ``read_responses``.
        targets: columns arm, response_level, prompt and draw: the responses that students of an arm and level get.
        teacher: whose layers students have, unless the options name a model.
        options: of the students.
        stop: what ends a response, for responses without tokens of their own.
    """

    plan: pd.DataFrame
    prompts: pd.DataFrame
    responses: pd.DataFrame
    targets: pd.DataFrame
    teacher: ModelOptions
    options: LanguageStudentsOptions
    stop: tuple[str, ...] = ("\n",)

    @property
    def num_shards(self) -> int:
        """A student each."""
        return len(self.plan)

    def identity(self, device: torch.device) -> str:
        """Return a SHA-256 of all content, as 64 hexadecimal digits, with the models' weights and library versions.

        Args:
            device: where students are trained, on which the precision of products may depend.
        """
        settings = {
            "format_version": FORMAT_VERSION,
            "options": self.options.model_dump(mode="json", exclude={"arms", "pilot"}),
            "models": [model_token(self.teacher), model_token(student_options(self.teacher, self.options.model))],
            "versions": [torch.__version__, import_transformers().__version__],
            "stop": self.stop,
            "precision": precision_of(self.options.training, device),
        }
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        learnt = self.targets.merge(self.responses, on=["prompt", "draw"], how="left", validate="many_to_one")
        for table in (self.plan, self.prompts[["prompt", "split", "text"]], learnt):
            digest.update(table.to_json(orient="split", double_precision=15).encode())
        return digest.hexdigest()

    def check(self) -> None:
        """Check, before any work, that every student can be trained.

        Raises:
            UserError: if students learn from distributions that the responses do not have or have of another
                tokenizer, or a prompt with its answers is too long for the student.
        """
        student = student_options(self.teacher, self.options.model)
        if any(map(needs_distributions, self.plan["method"].unique())):
            check_same_tokenizer(load_tokenizer(self.teacher), self._tokenizer)
            check_distributions(self.responses)
        check_lengths(self._learnt, stated_context_length(student), self.options.sampling.max_new_tokens)

    def compute(self, index: int, device: torch.device, on_progress: Callable[[int], None]) -> dict[str, Tensor]:
        """Train one student and ask it.

        Args:
            index: its row of the plan.
            device: where to train.
            on_progress: told of every step and, at the end, of the answers.

        Returns:
            "students" (1,) its number; "losses" (1, steps) nats a token, nothing for an untrained one; "answer_ids" (1,
            prompts, answers, tokens) int32, -1 after the end; "log_probs" and "entropy" in that shape, nats, NaN after
            the end; "finished" (1, prompts, answers); "num_tokens" (1, 2) that were trained on and sampled; and
            "parameters/<name>" of trained parameters if they are kept.

        Raises:
            UserError: if the loss diverges.
        """
        row = {str(name): value for name, value in self.plan.iloc[index].items()}
        model = build_student(self.teacher, self.options.model, seed=int(row["initialisation_seed"]), device=device)
        trained = 0

        def on_step(tokens: int) -> None:
            nonlocal trained
            trained += tokens
            on_progress(1)

        losses = np.empty(0, dtype=np.float32)
        if row["method"] != UNTRAINED:
            examples = examples_of(row, self.targets, self._learnt, needs_distributions(row["method"]))
            try:
                losses = fine_tune(model, examples, self.options.training, int(row["order_seed"]), on_step)
            except UserError as error:
                raise UserError(
                    f"student {row['student']} ({row['method']}, k = {row['num_responses']}): {error}"
                ) from error
        answers = self._ask(model, int(row["student"]))
        on_progress(1 if len(losses) else self.options.training.steps + 1)
        said = stacked(answers)
        counts = torch.tensor([[trained, int((said["answer_ids"] != NO_TOKEN).sum())]])
        kept = {"students": torch.tensor([int(row["student"])]), "losses": torch.from_numpy(losses)[None]}
        return kept | {"num_tokens": counts} | said | self._weights(model)

    def _ask(self, model: PreTrainedModel, student: int) -> list[list[Sampled]]:
        options = self.options
        asked = _for_sampling(model.eval(), options)
        seeds = [
            [derive_seed(options.seed, "answer", student, prompt, sample) for sample in range(options.num_answers)]
            for prompt in self.prompts["prompt"].tolist()
        ]
        return sample_answers(
            asked,
            self._tokenizer,
            self.prompts["text"].tolist(),
            seeds,
            options.sampling,
            batch_size=options.sampling.batch_size,
        )

    def _weights(self, model: PreTrainedModel) -> dict[str, Tensor]:
        if not self.options.keep_weights:
            return {}
        return {
            f"parameters/{name}": values.detach()[None].cpu()
            for name, values in model.named_parameters()
            if values.requires_grad
        }

    @property
    def _tokenizer(self) -> Any:
        return load_tokenizer(student_options(self.teacher, self.options.model))

    @cached_property
    def _learnt(self) -> pd.DataFrame:
        """Prompts and responses with the tokens that students learn, by prompt and draw."""
        return with_tokens(self.prompts, self.responses, self._tokenizer, keep=self._same_tokens, stop=self.stop)

    @property
    def _same_tokens(self) -> bool:
        """Whether tokens of the responses are the student's: of another model with the teacher's tokenizer they are."""
        if self.options.model.name in (None, self.teacher.name) or "token_ids" not in self.responses:
            return True
        return vocabulary_digest(load_tokenizer(self.teacher)) == vocabulary_digest(self._tokenizer)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_learnt"}


def run(
    job: StudentJob,
    indices: Iterable[int] | None = None,
    *,
    workers: int = 1,
    device: torch.device | None = None,
    progress: bool = True,
    description: str = "students",
) -> Iterator[Shard]:
    """Train students and yield each as ``(index, tensors)`` when it is finished, in any order.

    Args:
        job: the students.
        indices: rows of the plan, such as ``ShardStore.missing()``; all by default.
        workers: processes, each with one thread; on a GPU, which they would share, it is this one.
        device: where to train; the CPU by default.
        progress: show a progress bar in students, with tokens a second and the time left.
        description: what the bar is called.

    Raises:
        UserError: if the job cannot be run, a student's training diverges, or a worker process dies.
    """
    device = device or torch.device("cpu")
    wanted = list(range(job.num_shards) if indices is None else indices)
    if not wanted:
        return
    job.check()
    processes = workers if device.type == "cpu" else 1
    mend = "execution.workers, language.students.training.batch_size or language.students.sampling.batch_size"
    tokens = 0
    with tqdm(total=len(wanted), unit="student", desc=description, disable=not progress) as bar:
        counter = Counter(bar, job.options.training.steps + 1)
        compute = partial(_compute, job, device)
        for index, tensors in run_shards(compute, wanted, processes, counter, doing="trained students", mend=mend):
            tokens += int(tensors["num_tokens"].sum())
            bar.set_postfix_str(f"{tokens / max(bar.format_dict['elapsed'], 1e-9):,.0f} tokens/s", refresh=False)
            yield index, tensors


def _compute(
    job: StudentJob, device: torch.device, index: int, on_progress: Callable[[int], None]
) -> dict[str, Tensor]:
    return job.compute(index, device, on_progress)


def _for_sampling(model: PreTrainedModel, options: LanguageStudentsOptions) -> PreTrainedModel:
    """The model itself, or a copy in the precision that it was trained in."""
    if precision_of(options.training, model.device) == "float32":
        return model
    copied = copy.deepcopy(model)
    for parameter in copied.parameters():
        parameter.data = parameter.data.to(torch.bfloat16)
    return copied
