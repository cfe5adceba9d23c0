"""Typed options: one pydantic model for each parameter section; unknown keys are refused.

The YAML under ``conf/*/parameters`` mirrors these classes field by field. Everything here is validated before
any node runs, so a study never starts with a setting that it cannot honour.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from kd_uncertainty.bounds.decomposition import DecompositionOptions
from kd_uncertainty.bounds.langevin import LangevinBoundsOptions
from kd_uncertainty.bounds.networks import NetworkBoundsOptions
from kd_uncertainty.bounds.processes import ProcessesOptions
from kd_uncertainty.cluster.options import Resources
from kd_uncertainty.comparison.options import TeacherComparisonOptions
from kd_uncertainty.convergence.gradient_noise import GradientNoiseOptions
from kd_uncertainty.convergence.neighbourhood import NeighbourhoodOptions
from kd_uncertainty.convergence.stability import StabilityOptions
from kd_uncertainty.convergence.world import WorldOptions
from kd_uncertainty.deviations.confidence import ConfidenceOptions
from kd_uncertainty.deviations.denoising import DenoisingOptions
from kd_uncertainty.deviations.eigenspace import EigenspaceOptions
from kd_uncertainty.deviations.study import StudyDeviationsOptions
from kd_uncertainty.deviations.switching import SwitchingOptions
from kd_uncertainty.language.options import (
    LanguagePropagationOptions,
    LanguageResponsesOptions,
    LanguageStudentsOptions,
    PromptOptions,
    SurrogateOptions,
)
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.arms import ArmOptions
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.regression.bootstrap import BootstrapOptions
from kd_uncertainty.regression.initialisation import InitialisationOptions
from kd_uncertainty.regression.options import ValueResponsesOptions, ValueStudentsOptions
from kd_uncertainty.regression.remedies import RemediesOptions
from kd_uncertainty.regression.student_output import StudentOutputOptions
from kd_uncertainty.regression.teacher_output import TeacherOutputOptions
from kd_uncertainty.tasks.options import IngestionOptions, Split, TableOptions
from kd_uncertainty.teachers.named import Posteriors
from kd_uncertainty.typed import Fraction, NonEmpty, Options, Seed

__all__ = [
    "AnalysisOptions",
    "ArmOptions",
    "BoundsStudyOptions",
    "ConvergenceStudyOptions",
    "DeviationsStudyOptions",
    "ExecutionOptions",
    "IngestionOptions",
    "LanguageStudyOptions",
    "NetworkOptions",
    "PageOptions",
    "Parameters",
    "PropagationOptions",
    "RegressionStudyOptions",
    "ReportingOptions",
    "ResponsesOptions",
    "StudentsOptions",
    "Study",
    "StudyOptions",
    "TeacherComparisonOptions",
    "TeachersOptions",
    "TrainingOptions",
    "ValuePropagationOptions",
]


class TeachersOptions(Options):
    """Which teachers are fitted, by name; each is one of the kinds in ``kd_uncertainty.teachers``."""

    network: NetworkOptions = NetworkOptions()
    training: TrainingOptions = TrainingOptions(epochs=10)
    posteriors: Posteriors
    seed: Seed = 1


class ResponsesOptions(Options):
    """How much of every teacher's posterior is cached."""

    num_draws: PositiveInt = Field(64, description="posterior draws cached for each example, none twice")
    batch_size: PositiveInt = Field(1024, description="examples per streamed batch and Parquet row group")
    encoding: Literal["lists", "packed"] = Field(
        "lists",
        description="lists: float32 logits that anything reads; packed: 16-bit codes for large files, see "
        "docs/own-soft-labels.md",
    )
    seed: Seed = 2


MOST_STUDENTS = 1_000_000
"""Students of one arm, so that a slip of the finger does not fill the memory with a plan."""


class StudentsOptions(Options):
    """The population: arms crossed with response, initialisation and order seeds."""

    network: NetworkOptions = NetworkOptions()
    training: TrainingOptions = TrainingOptions()
    arms: Annotated[tuple[ArmOptions, ...], Field(min_length=1)]
    response_seeds: PositiveInt = 8
    initialisation_seeds: PositiveInt = 3
    order_seeds: PositiveInt = 3
    seed: Seed = 3
    backend: Literal["auto", "native", "vmap", "loop"] = "auto"
    shard_size: PositiveInt = Field(72, description="students saved together; the unit of work and of resumption")

    @model_validator(mode="after")
    def _can_be_planned(self) -> Self:
        students = self.response_seeds * self.initialisation_seeds * self.order_seeds
        if students > MOST_STUDENTS:
            raise ValueError(
                f"response_seeds x initialisation_seeds x order_seeds is {students:,} students an arm; "
                f"at most {MOST_STUDENTS:,} can be planned"
            )
        return self


class PropagationOptions(Options):
    """How the uncertainty is analysed."""

    confidence: Fraction = 0.95
    num_bootstrap: Annotated[int, Field(ge=20)] = 400
    calibration_bins: PositiveInt = 15
    response_share_threshold: Fraction = Field(
        0.25, description="responses are enough once their share of inter-student variance is below this"
    )
    seed: Seed = 4


class ReportingOptions(Options):
    """What the report is called and which split its pictures show."""

    title: str = "Uncertainty in knowledge distillation"
    split: Split = "test"


class Study(Options):
    """A study: one section for each of its stages."""


class StudyOptions(Study):
    """All sections of the classification study."""

    ingestion: IngestionOptions
    teachers: TeachersOptions
    responses: ResponsesOptions = ResponsesOptions()
    students: StudentsOptions
    propagation: PropagationOptions = PropagationOptions()
    deviations: StudyDeviationsOptions = StudyDeviationsOptions()
    teacher_comparison: TeacherComparisonOptions
    reporting: ReportingOptions = ReportingOptions()


class CostOptions(Options):
    """What things cost, in any one unit, for the advice on how to spend a budget."""

    response: PositiveFloat = Field(1.0, description="one response of the teacher to every training example")
    student: PositiveFloat = Field(1.0, description="training and keeping one student")
    budgets: NonEmpty[PositiveFloat] = Field((10.0, 30.0, 100.0), description="what may be spent in all")


class ValuePropagationOptions(Options):
    """How the uncertainty of real-valued predictions is analysed."""

    confidence: Fraction = 0.95
    num_bootstrap: Annotated[int, Field(ge=20)] = 400
    response_share_threshold: Fraction = Field(
        0.25, description="responses are enough once their share of inter-student variance is below this"
    )
    costs: CostOptions = CostOptions()
    seed: Seed = 4


class RegressionStudyOptions(Study):
    """All sections of the regression study: the chain, then the paper's experiments (arXiv 2601.18909)."""

    ingestion: TableOptions
    teachers: TeachersOptions
    responses: ValueResponsesOptions = ValueResponsesOptions()
    students: ValueStudentsOptions
    propagation: ValuePropagationOptions = ValuePropagationOptions()
    teacher_output: TeacherOutputOptions = TeacherOutputOptions()
    initialisation: InitialisationOptions = InitialisationOptions()
    bootstrap: BootstrapOptions = BootstrapOptions()
    student_output: StudentOutputOptions = StudentOutputOptions()
    remedies: RemediesOptions = RemediesOptions()
    reporting: ReportingOptions = ReportingOptions()


class AnalysisOptions(Options):
    """How measurements are summarised."""

    confidence: Fraction = 0.95
    calibration_bins: PositiveInt = 15


class PageOptions(Options):
    """What the report is called."""

    title: str


class ConvergenceStudyOptions(Study):
    """All sections of the convergence study (arXiv 2601.01484)."""

    ingestion: IngestionOptions
    teachers: TeachersOptions
    responses: ResponsesOptions = ResponsesOptions()
    world: WorldOptions = WorldOptions()
    gradient_noise: GradientNoiseOptions = GradientNoiseOptions()
    neighbourhood: NeighbourhoodOptions = NeighbourhoodOptions()
    stability: StabilityOptions = StabilityOptions()
    analysis: AnalysisOptions = AnalysisOptions()
    reporting: PageOptions = PageOptions(title="How steadily students learn from noisy and exact probabilities")


class DeviationsStudyOptions(Study):
    """All sections of the deviations study (arXiv 2301.12923)."""

    ingestion: IngestionOptions
    deviations: ConfidenceOptions = ConfidenceOptions()
    switching: SwitchingOptions = SwitchingOptions()
    eigenspace: EigenspaceOptions = EigenspaceOptions()
    denoising: DenoisingOptions = DenoisingOptions()
    analysis: AnalysisOptions = AnalysisOptions()
    reporting: PageOptions = PageOptions(title="Where students disobey their teacher, and whether it pays")


class BoundsStudyOptions(Study):
    """All sections of the bounds study (arXiv 2605.13143)."""

    ingestion: IngestionOptions
    processes: ProcessesOptions = ProcessesOptions()
    decomposition: DecompositionOptions = DecompositionOptions()
    network_bounds: NetworkBoundsOptions = NetworkBoundsOptions()
    langevin_bounds: LangevinBoundsOptions = LangevinBoundsOptions()
    analysis: AnalysisOptions = AnalysisOptions()
    reporting: PageOptions = PageOptions(title="What the generalisation bounds of distillation are worth")


class LanguageStudyOptions(Study):
    """All sections of the language study (arXiv 2601.18909, language models)."""

    ingestion: PromptOptions = PromptOptions()
    responses: LanguageResponsesOptions = LanguageResponsesOptions()
    students: LanguageStudentsOptions = LanguageStudentsOptions()
    propagation: LanguagePropagationOptions = LanguagePropagationOptions()
    surrogate: SurrogateOptions = SurrogateOptions()
    reporting: PageOptions = PageOptions(title="What becomes of a language model's answers in its students")


class ExecutionOptions(Options):
    """Where and how wide the work runs. No part of any fingerprint: on a GPU it changes last bits, else no result."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: PositiveInt | Literal["auto"] = Field(
        "auto", description="processes; auto: one for each core; always one on a GPU"
    )
    chunk_size: PositiveInt | Literal["auto"] = Field(
        "auto", description="students trained at once inside a worker; auto: 72 on a CPU, as fits its memory on a GPU"
    )
    progress: bool = True
    engine: Literal["local", "ray"] = Field("local", description="who trains students: this machine, or a Ray cluster")
    cluster: str | None = Field(
        None, description="host:port of the Ray cluster, for engine: ray and RayRunner; null: started on this machine"
    )
    shard_resources: Resources = Field(
        Resources(gpus=1.0), description="what a shard of students occupies on the cluster; gpus count on device: cuda"
    )
    resources: dict[str, Resources] = Field(
        {}, description="what nodes of these tags occupy under RayRunner, such as teachers: {gpus: 0.5}"
    )


class Parameters(Options):
    """Everything under ``conf/*/parameters``: one section a study, and how to execute."""

    classification: StudyOptions
    regression: RegressionStudyOptions
    convergence: ConvergenceStudyOptions
    deviations: DeviationsStudyOptions
    bounds: BoundsStudyOptions
    language: LanguageStudyOptions = LanguageStudyOptions()
    execution: ExecutionOptions = ExecutionOptions()
