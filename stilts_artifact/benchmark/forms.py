"""The forms that tasks take, and parts that several tasks share."""

from __future__ import annotations

from dataclasses import dataclass

from stilts_artifact.domain.tasks import Part, TaskForm


@dataclass(frozen=True, slots=True)
class Form:
    """Form, metrics and labels of a task; no labels where they are not a closed set known beforehand."""

    form: TaskForm
    metrics: tuple[str, ...]
    labels: tuple[str, ...] = ()


# jiant's label order; it decides which output of the head means what.
NLI = Form(TaskForm.PAIR, ("accuracy",), ("contradiction", "entailment", "neutral"))
QUESTION_PAIRS = Form(TaskForm.PAIR, ("accuracy", "f1"), ("0", "1"))
PARAPHRASE = Form(TaskForm.PAIR, ("accuracy",), ("0", "1"))
CHOICE = Form(TaskForm.CHOICE, ("accuracy",))
# Over a thousand categories, taken from the training sections.
SUPERTAGS = Form(TaskForm.TAGGING, ("accuracy",))
UPOS_TAGS = (
    "ADJ",
    "ADP",
    "ADV",
    "AUX",
    "CCONJ",
    "DET",
    "INTJ",
    "NOUN",
    "NUM",
    "PART",
    "PRON",
    "PROPN",
    "PUNCT",
    "SCONJ",
    "SYM",
    "VERB",
    "X",
)
UPOS = Form(TaskForm.TAGGING, ("f1", "precision", "recall"), UPOS_TAGS)
NAMES = Form(
    TaskForm.TAGGING,
    ("f1", "precision", "recall"),
    ("B-LOC", "B-ORG", "B-PER", "I-LOC", "I-ORG", "I-PER", "O"),
)
SPAN = Form(TaskForm.SPAN, ("exact_match", "f1"))
MINING = Form(TaskForm.MINING, ("f1", "precision", "recall"))
SEARCH = Form(TaskForm.SEARCH, ("accuracy",))

SQUAD_V1 = (("version", "1.1"),)
SQUAD_V2 = (("version", "2.0"),)

# GLUE's MNLI also trains XNLI; SQuAD v1.1 also trains XQuAD and MLQA.
MNLI_TRAIN = (Part("MNLI.zip", "mnli", "MNLI/train.tsv"),)
SQUAD_V1_TRAIN = (Part("squad/train-v1.1.json", "squad", options=SQUAD_V1),)
