"""The paper's eighteen tasks and those of studies, one literal row each; a new one is a row more.

Splits as XTREME and jiant take them: where a task has no public test set, the public dev set is the
test (XQuAD, TyDiQA-GoldP), and BUCC's sample and training corpora are dev and test
(download_data.sh:152-166 at 838c13b).

In the parts ``{language}`` stands for the code of a language, ``{english}`` for that of the
language of all training data, ``{tatoeba}``, ``{tatoeba_english}``, ``{tydiqa}``, ``{ntrex}`` and
``{ntrex_english}`` for upstream's own names of them (:mod:`stilts_artifact.benchmark.languages`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from stilts_artifact.benchmark.languages import FAMILY_CODES, Naming
from stilts_artifact.domain.tasks import Normalisation, Part, Role, Split, Task, TaskForm

Parts = tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """A task as literal data, the same in every benchmark but for its languages.

    Args:
        name, title, short, form, metrics, labels, tuning, normalisation: as in :class:`Task`.
        group: makes it a target; a row without one is an intermediate task.
        languages: benchmark -> codes of the languages that a target is evaluated in, in its order;
            a benchmark without an entry does not have it. An intermediate task has the language of
            the training data.
        without_dev: benchmark -> codes of those that have no dev split.
        train: in the language of the training data.
        dev, test: of each evaluated language.
        translated: training data in translation, of each language that a benchmark has any in. The
            paper's own translations were never published.
        study: whether only the studies have it, and no table of the paper.
        permuted: as in :class:`Task`.
    """

    name: str
    title: str
    short: str | None = None
    form: TaskForm
    metrics: tuple[str, ...]
    labels: tuple[str, ...] = ()
    group: str | None = None
    tuning: str | None = None
    normalisation: Normalisation = "squad"
    languages: Mapping[str, str] = field(default_factory=dict)
    without_dev: Mapping[str, str] = field(default_factory=dict)
    train: Parts = ()
    dev: Parts = ()
    test: Parts = ()
    translated: Parts = ()
    study: bool = False
    permuted: bool = False


def treebanks(language: str, split: str, release: str = "2.5") -> str:
    """Pattern of the members of a UD archive that make one split.

    All treebanks of a language: a file name up to the first ``_`` is its language
    (download_data.sh:61-99 at 838c13b).

    Example:
        >>> treebanks("th", "test")
        'ud-treebanks-v2.5/*/th_*-ud-test.conllu'
    """
    return f"ud-treebanks-v{release}/*/{language}_*-ud-{split}.conllu"


# jiant's label order; it decides which output of the head means what.
NLI = ("contradiction", "entailment", "neutral")
YES_NO = ("0", "1")
UPOS = (
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
NAMES = ("B-LOC", "B-ORG", "B-PER", "I-LOC", "I-ORG", "I-PER", "O")

SQUAD_V1 = (("version", "1.1"),)
SQUAD_V2 = (("version", "2.0"),)
BY_LANGUAGE = (("language", "{language}"),)
TYDIQA = (("language", "{tydiqa}"),)
# Three rows of QQP's train.tsv are cut short: tensorflow_datasets counts 363,849 rows,
# huggingface/datasets, which leaves out rows that lack a column (datasets/glue/glue.py), 363,846.
QQP_CUT = (("cut_rows", "3"),)

# GLUE's MNLI also trains XNLI; SQuAD v1.1 also trains XQuAD and MLQA.
MNLI_TRAIN = Part("MNLI.zip", "mnli", "MNLI/train.tsv")
MNLI_DEV = Part("MNLI.zip", "mnli", "MNLI/dev_matched.tsv")
SQUAD_V1_TRAIN = Part("squad/train-v1.1.json", "squad", options=SQUAD_V1)

# Sections of jiant's scripts/ccg, not CCGbank's usual 02-21 and 00.
CCG_SECTIONS = [
    Part("ccgbank_1_1.tgz", "ccg", f"ccgbank_1_1/data/AUTO/{number:02}/*.auto")
    for number in range(22)
]

UD = "ud-treebanks-v2.5.tgz"
UD_FURTHER = "ud-treebanks-v2.7.tgz"
PANX = "panx_dataset.zip"
UD_TRAIN, UD_DEV, UD_TEST = (
    Part(UD, "conllu", treebanks("{language}", split), BY_LANGUAGE)
    for split in ("train", "dev", "test")
)
UD_FURTHER_DEV, UD_FURTHER_TEST = (
    Part(UD_FURTHER, "conllu", treebanks("{language}", split, "2.7"), BY_LANGUAGE)
    for split in ("dev", "test")
)
PANX_TRAIN, PANX_DEV, PANX_TEST = (
    Part(PANX, "panx", f"{{language}}.tar.gz!{split}") for split in ("train", "dev", "test")
)
UPOS_AND_FEATURES = (*BY_LANGUAGE, ("tags", "upos|feats"))
FEATURES_TRAIN = replace(UD_TRAIN, options=UPOS_AND_FEATURES)
FEATURES_DEV = replace(UD_DEV, options=UPOS_AND_FEATURES)
BUCC_SAMPLE = "bucc2018-{language}-{english}.sample-gold.tar.bz2"
BUCC_TRAINING = "bucc2018-{language}-{english}.training-gold.tar.bz2"
BUCC_FOLDER = "bucc2018/{language}-{english}/{language}-{english}"

MINI_ALL = "qaa qab qac qad qae qaf qag qen"
FAMILY_ALL = " ".join((*FAMILY_CODES, "qen"))

INTERMEDIATE_ROWS = (
    # jiant's "full ANLI": the three rounds with MNLI and SNLI, one head
    # (guides/tasks/task_specific.md).
    TaskRow(
        name="anli_plus",
        title="ANLI+",
        form=TaskForm.PAIR,
        metrics=("accuracy",),
        labels=NLI,
        tuning="anli_plus",
        train=(
            Part("anli_v0.1.zip", "anli", "anli_v0.1/R1/train.jsonl"),
            Part("anli_v0.1.zip", "anli", "anli_v0.1/R2/train.jsonl"),
            Part("anli_v0.1.zip", "anli", "anli_v0.1/R3/train.jsonl"),
            MNLI_TRAIN,
            Part("snli_1.0.zip", "snli", "snli_1.0/snli_1.0_train.jsonl"),
        ),
        dev=(
            Part("anli_v0.1.zip", "anli", "anli_v0.1/R1/dev.jsonl"),
            Part("anli_v0.1.zip", "anli", "anli_v0.1/R2/dev.jsonl"),
            Part("anli_v0.1.zip", "anli", "anli_v0.1/R3/dev.jsonl"),
            MNLI_DEV,
            Part("snli_1.0.zip", "snli", "snli_1.0/snli_1.0_dev.jsonl"),
        ),
    ),
    TaskRow(
        name="mnli",
        title="MNLI",
        form=TaskForm.PAIR,
        metrics=("accuracy",),
        labels=NLI,
        tuning="mnli",
        train=(MNLI_TRAIN,),
        dev=(MNLI_DEV,),
        translated=(Part("MNLI-{language}.zip", "mnli", "MNLI/train.tsv"),),
    ),
    TaskRow(
        name="qqp",
        title="QQP",
        form=TaskForm.PAIR,
        metrics=("accuracy", "f1"),
        labels=YES_NO,
        tuning="qqp",
        train=(Part("QQP-clean.zip", "qqp", "QQP/train.tsv", QQP_CUT),),
        dev=(Part("QQP-clean.zip", "qqp", "QQP/dev.tsv"),),
        translated=(Part("QQP-clean-{language}.zip", "qqp", "QQP/train.tsv", QQP_CUT),),
    ),
    TaskRow(
        name="squad_v2",
        title="SQuAD v2.0",
        form=TaskForm.SPAN,
        metrics=("exact_match", "f1"),
        tuning="squad_v2",
        train=(Part("squad/train-v2.0.json", "squad", options=SQUAD_V2),),
        dev=(Part("squad/dev-v2.0.json", "squad", options=SQUAD_V2),),
    ),
    TaskRow(
        name="squad_v1",
        title="SQuAD v1.1",
        form=TaskForm.SPAN,
        metrics=("exact_match", "f1"),
        tuning="squad_v1",
        train=(SQUAD_V1_TRAIN,),
        dev=(Part("squad/dev-v1.1.json", "squad", options=SQUAD_V1),),
    ),
    TaskRow(
        name="hellaswag",
        title="HellaSwag",
        form=TaskForm.CHOICE,
        metrics=("accuracy",),
        tuning="hellaswag",
        train=(Part("hellaswag_train.jsonl", "hellaswag"),),
        dev=(Part("hellaswag_val.jsonl", "hellaswag"),),
        translated=(Part("hellaswag_train-{language}.jsonl", "hellaswag"),),
    ),
    TaskRow(
        name="ccg",
        title="CCG",
        form=TaskForm.TAGGING,
        metrics=("accuracy",),
        # No labels: over a thousand categories, taken from the training sections.
        tuning="ccg",
        train=tuple(CCG_SECTIONS[:19]),
        dev=tuple(CCG_SECTIONS[19:]),
    ),
    TaskRow(
        name="cosmosqa",
        title="Cosmos QA",
        form=TaskForm.CHOICE,
        metrics=("accuracy",),
        tuning="cosmosqa",
        train=(Part("cosmosqa/train.csv", "cosmosqa"),),
        dev=(Part("cosmosqa/valid.csv", "cosmosqa"),),
    ),
    TaskRow(
        name="commonsenseqa",
        title="CommonsenseQA",
        form=TaskForm.CHOICE,
        metrics=("accuracy",),
        tuning="commonsenseqa",
        train=(Part("commonsenseqa/train_rand_split.jsonl", "commonsenseqa"),),
        dev=(Part("commonsenseqa/dev_rand_split.jsonl", "commonsenseqa"),),
    ),
)

# XTREME evaluate.py:141-154 at 838c13b has the languages of each task, 288-319 the groups.
TARGET_ROWS = (
    TaskRow(
        name="xnli",
        title="XNLI",
        form=TaskForm.PAIR,
        metrics=("accuracy",),
        labels=NLI,
        group="classification",
        tuning="xnli",
        languages={
            "xtreme": "ar bg de el en es fr hi ru sw th tr ur vi zh",
            "mini": MINI_ALL,
            "family": FAMILY_ALL,
        },
        train=(MNLI_TRAIN,),
        dev=(Part("XNLI-1.0.zip", "xnli", "XNLI-1.0/xnli.dev.tsv", BY_LANGUAGE),),
        test=(Part("XNLI-1.0.zip", "xnli", "XNLI-1.0/xnli.test.tsv", BY_LANGUAGE),),
    ),
    TaskRow(
        name="pawsx",
        title="PAWS-X",
        short="PAWSX",
        form=TaskForm.PAIR,
        metrics=("accuracy",),
        labels=YES_NO,
        group="classification",
        tuning="pawsx",
        languages={"xtreme": "de en es fr ja ko zh", "mini": MINI_ALL},
        train=(Part("x-final.tar.gz", "pawsx", "x-final/{language}/train.tsv"),),
        dev=(Part("x-final.tar.gz", "pawsx", "x-final/{language}/dev_2k.tsv"),),
        test=(Part("x-final.tar.gz", "pawsx", "x-final/{language}/test_2k.tsv"),),
    ),
    TaskRow(
        name="udpos",
        title="POS",
        form=TaskForm.TAGGING,
        metrics=("f1", "precision", "recall"),
        labels=UPOS,
        group="tagging",
        tuning="udpos",
        languages={
            "xtreme": "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta "
            "te th tl tr ur vi yo zh",
            "mini": MINI_ALL,
            "family": FAMILY_ALL,
        },
        without_dev={"xtreme": "kk th tl yo", "mini": "qag"},
        train=(UD_TRAIN,),
        dev=(UD_DEV,),
        test=(UD_TEST,),
    ),
    TaskRow(
        name="panx",
        title="NER",
        form=TaskForm.TAGGING,
        metrics=("f1", "precision", "recall"),
        labels=NAMES,
        group="tagging",
        tuning="panx",
        languages={
            "xtreme": "af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr "
            "ms my nl pt ru sw ta te th tl tr ur vi yo zh",
            "mini": MINI_ALL,
            "family": FAMILY_ALL,
        },
        train=(PANX_TRAIN,),
        dev=(PANX_DEV,),
        test=(PANX_TEST,),
    ),
    TaskRow(
        name="xquad",
        title="XQuAD",
        form=TaskForm.SPAN,
        metrics=("exact_match", "f1"),
        group="qa",
        tuning="xquad",
        languages={"xtreme": "ar de el en es hi ru th tr vi zh", "mini": MINI_ALL},
        train=(SQUAD_V1_TRAIN,),
        test=(Part("xquad.{language}.json", "squad", options=SQUAD_V1),),
    ),
    # Context and question in the same language, as XTREME evaluates it.
    TaskRow(
        name="mlqa",
        title="MLQA",
        form=TaskForm.SPAN,
        metrics=("exact_match", "f1"),
        group="qa",
        tuning="xquad",  # the same training data: one model serves both
        normalisation="mlqa",
        languages={"xtreme": "ar de en es hi vi zh", "mini": MINI_ALL},
        train=(SQUAD_V1_TRAIN,),
        dev=(
            Part(
                "MLQA_V1.zip",
                "squad",
                "MLQA_V1/dev/dev-context-{language}-question-{language}.json",
                SQUAD_V1,
            ),
        ),
        test=(
            Part(
                "MLQA_V1.zip",
                "squad",
                "MLQA_V1/test/test-context-{language}-question-{language}.json",
                SQUAD_V1,
            ),
        ),
    ),
    # One file holds all languages; training takes only the English part (jiant's script took all
    # of them).
    TaskRow(
        name="tydiqa",
        title="TyDiQA-GoldP",
        short="TyDi",
        form=TaskForm.SPAN,
        metrics=("exact_match", "f1"),
        group="qa",
        tuning="tydiqa",
        languages={"xtreme": "ar bn en fi id ko ru sw te", "mini": MINI_ALL},
        train=(Part("tydiqa-goldp-v1.1-train.json", "tydiqa", options=TYDIQA),),
        test=(Part("tydiqa-goldp-v1.1-dev.json", "tydiqa", options=TYDIQA),),
    ),
    TaskRow(
        name="bucc2018",
        title="BUCC 2018",
        short="BUCC",
        form=TaskForm.MINING,
        metrics=("f1", "precision", "recall"),
        group="retrieval",
        languages={"xtreme": "de fr ru zh", "mini": "qaa qac qae qag"},
        dev=(
            Part(BUCC_SAMPLE, "bucc_text", BUCC_FOLDER + ".sample.{language}"),
            Part(BUCC_SAMPLE, "bucc_text", BUCC_FOLDER + ".sample.{english}"),
            Part(BUCC_SAMPLE, "bucc_gold", BUCC_FOLDER + ".sample.gold"),
        ),
        test=(
            Part(BUCC_TRAINING, "bucc_text", BUCC_FOLDER + ".training.{language}"),
            Part(BUCC_TRAINING, "bucc_text", BUCC_FOLDER + ".training.{english}"),
            Part(BUCC_TRAINING, "bucc_gold", BUCC_FOLDER + ".training.gold"),
        ),
    ),
    TaskRow(
        name="tatoeba",
        title="Tatoeba",
        short="Tatoe",
        form=TaskForm.SEARCH,
        metrics=("accuracy",),
        group="retrieval",
        languages={
            "xtreme": "af ar bg bn de el es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr nl "
            "pt ru sw ta te th tl tr ur vi zh",
            "mini": "qaa qab qac qad qae qaf qag",
            "family": " ".join(FAMILY_CODES),
        },
        test=(
            Part("tatoeba.{tatoeba}-{tatoeba_english}.{tatoeba}", "lines"),
            Part("tatoeba.{tatoeba}-{tatoeba_english}.{tatoeba_english}", "lines"),
        ),
    ),
)

# Study 001: the English treebanks that train POS, told three ways. A word's bundle of features is
# one label with its part of speech; every bundle of the training data is one, however rare.
STUDY_ROWS = (
    TaskRow(
        name="ud_feats",
        title="UD morphology",
        form=TaskForm.TAGGING,
        metrics=("accuracy",),
        tuning="udpos",
        train=(FEATURES_TRAIN,),
        dev=(FEATURES_DEV,),
        study=True,
    ),
    TaskRow(
        name="ud_upos",
        title="UD parts of speech",
        form=TaskForm.TAGGING,
        metrics=("accuracy",),
        labels=UPOS,
        tuning="udpos",
        train=(UD_TRAIN,),
        dev=(UD_DEV,),
        study=True,
    ),
    TaskRow(
        name="ud_shuffled",
        title="UD morphology, shuffled",
        form=TaskForm.TAGGING,
        metrics=("accuracy",),
        tuning="udpos",
        train=(FEATURES_TRAIN,),
        dev=(FEATURES_DEV,),
        study=True,
        permuted=True,
    ),
    # Study 001: the languages that XTREME-R adds to POS and NER (scripts/download_data.sh at
    # 838c13b). Those of POS are of a later release than XTREME's, which stay as they were; those of
    # NER lie in XTREME's own archive. The models are those of POS and NER.
    TaskRow(
        name="udpos_xr",
        title="POS, XTREME-R's further languages",
        short="POS-R",
        form=TaskForm.TAGGING,
        metrics=("f1", "precision", "recall"),
        labels=UPOS,
        group="tagging",
        tuning="udpos",
        languages={"xtreme": "lt pl ro uk wo"},
        train=(UD_TRAIN,),
        dev=(UD_FURTHER_DEV,),
        test=(UD_FURTHER_TEST,),
        study=True,
    ),
    TaskRow(
        name="panx_xr",
        title="NER, XTREME-R's further languages",
        short="NER-R",
        form=TaskForm.TAGGING,
        metrics=("f1", "precision", "recall"),
        labels=NAMES,
        group="tagging",
        tuning="panx",
        languages={"xtreme": "az gu lt pa pl qu ro uk"},
        train=(PANX_TRAIN,),
        dev=(PANX_DEV,),
        test=(PANX_TEST,),
        study=True,
    ),
    # Study 002: the same news in English and in each of XTREME's languages but Javanese. Nothing is
    # trained on it.
    TaskRow(
        name="ntrex",
        title="NTREX-128",
        short="NTREX",
        form=TaskForm.ALIGNMENT,
        metrics=("accuracy",),
        group="retrieval",
        languages={
            "xtreme": "af ar bg bn de el es et eu fa fi fr he hi hu id it ja ka kk ko ml mr ms my "
            "nl pt ru sw ta te th tl tr ur vi yo zh",
            "mini": "qaa qab qac qad qae qaf qag",
        },
        test=(
            Part("ntrex/newstest2019-ref.{ntrex}.txt", "ntrex"),
            Part("ntrex/newstest2019-src.{ntrex_english}.txt", "ntrex"),
            Part("ntrex/DOCUMENT_IDS.tsv", "document_ids"),
        ),
        study=True,
    ),
)
ROWS = (*INTERMEDIATE_ROWS, *TARGET_ROWS, *STUDY_ROWS)


def make_task(row: TaskRow, naming: Naming) -> Task:
    """The task that a row stands for in one benchmark; its licence is left to the sources.

    Example:
        >>> from stilts_artifact.benchmark.languages import XTREME
        >>> panx = next(row for row in ROWS if row.name == "panx")
        >>> make_task(panx, XTREME).parts[Split.TEST, "th"][0].member
        'th.tar.gz!test'
    """
    english = naming.source_language
    translated = naming.translated if row.translated else ()
    evaluated = tuple(row.languages[naming.name].split()) if row.languages else (english,)
    without_dev = row.without_dev.get(naming.name, "").split()
    places = [
        (Split.TRAIN, [english], row.train),
        (Split.DEV, [code for code in evaluated if code not in without_dev], row.dev),
        (Split.TEST, evaluated, row.test),
        (Split.TRAIN, translated, row.translated),
    ]
    return Task(
        name=row.name,
        title=row.title,
        short=row.short,
        role=Role.TARGET if row.group else Role.INTERMEDIATE,
        form=row.form,
        metrics=row.metrics,
        labels=row.labels,
        languages=(*evaluated, *translated),
        licence="",
        parts={
            (split, language): tuple(_in_language(part, language, naming) for part in parts)
            for split, languages, parts in places
            for language in languages
            if parts
        },
        group=row.group,
        tuning=row.tuning,
        normalisation=row.normalisation,
        source_language=english,
        study=row.study,
        permuted=row.permuted,
    )


def groups(tasks: Iterable[Task | TaskRow]) -> dict[str, tuple[str, ...]]:
    """Group -> names of its targets, both in order; those that only studies have are in none.

    Example:
        >>> groups(ROWS)["qa"]
        ('xquad', 'mlqa', 'tydiqa')
    """
    found: dict[str, tuple[str, ...]] = {}
    for task in tasks:
        if task.group is not None and not task.study:
            found[task.group] = (*found.get(task.group, ()), task.name)
    return found


def _in_language(part: Part, language: str, naming: Naming) -> Part:
    """A part with the names of a language in place of the braces."""
    english = naming.source_language
    names = {"language": language, "english": english}
    # Upstream knows only some languages in each of these: a part that names another fails.
    for key, table in (
        ("tatoeba", naming.tatoeba),
        ("tydiqa", naming.tydiqa),
        ("ntrex", naming.ntrex),
    ):
        for name, code in ((key, language), (f"{key}_english", english)):
            if code in table:
                names[name] = table[code]
    return replace(
        part,
        source=part.source.format_map(names),
        member=None if part.member is None else part.member.format_map(names),
        options=tuple((key, value.format_map(names)) for key, value in part.options),
    )
