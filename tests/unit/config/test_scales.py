"""Scale files are strict, complete and say where their values are from."""

from __future__ import annotations

import json
from importlib import resources

import pytest
import yaml
from pydantic import ValidationError

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import rows, targets, training_task
from stilts_artifact.config import SCALES
from stilts_artifact.config.load import load_scale, parse_scale
from stilts_artifact.config.schema import TrainingConfig, training_names
from stilts_artifact.domain.tasks import Role
from stilts_artifact.errors import ConfigError, DataError
from stilts_artifact.model.hub import PINNED


def text(name: str) -> bytes:
    return resources.files("stilts_artifact.config").joinpath(f"{name}.yaml").read_bytes()


GOOD = text("mini")


@pytest.mark.parametrize("name", SCALES)
def test_shipped_scales_load_under_their_own_name(name: str) -> None:
    assert load_scale(name).name == name


def test_only_mini_is_no_evidence_and_never_meets_paper_cells() -> None:
    assert [name for name in SCALES if not load_scale(name).evidence] == ["mini"]
    for name in SCALES:
        scale = load_scale(name)
        assert (scale.benchmark == "mini") == ("mini" in scale.expected) == (not scale.evidence)


def test_numbers_of_a_task_that_are_not_there_are_missed() -> None:
    lines = [line for line in GOOD.splitlines(keepends=True) if not line.startswith(b"  pawsx:")]
    with pytest.raises(ConfigError, match="no numbers for pawsx") as caught:
        parse_scale(b"".join(lines), "s.yaml")
    assert caught.value.where == "s.yaml: targets"


def test_an_unknown_scale_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 'paper'"):
        load_scale("papper")


@pytest.mark.parametrize(
    ("old", "new", "hint", "where"),
    [
        (b"\nbenchmark:", b"\nbenchmrak:", "benchmark", "s.yaml"),
        (b"warmup:", b"warmpu:", "warmup", "s.yaml: training"),
        (b"mnli: {epochs", b"mnli: {epohcs", "epochs", "s.yaml: intermediate.mnli"),
        (b"  pawsx:", b"  paws-x:", "pawsx", "s.yaml: targets"),
    ],
)
def test_an_unknown_key_gets_a_suggestion_at_any_depth(
    old: bytes, new: bytes, hint: str, where: str
) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=f"did you mean '{hint}'") as caught:
        parse_scale(GOOD.replace(old, new, 1), "s.yaml")
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"evidence: false", b"evidence: 0"),
        (b"benchmark: mini", b"benchmark: moon"),
        (b"dtype: float32\n", b""),
        (b"seeds: [1]", b"seeds: []"),
        (b"seeds: [1]", b"seeds: [1, 1]"),
        (b"seeds: [1]", b"seeds: ['1']"),
        (b"seeds: [1]", b"seeds: [true]"),
        (b"seeds: [1]", b"seeds: [1.0]"),
        (b"seeds: [1]", b"seeds: [-1]"),
        (b"seeds: [1]", b"seeds: [4294967296]"),
        (b"warmup: 0.1", b"warmup: 1.5"),
        (b"layer: 2", b"layer: -1"),
        (b"patience: 30", b"patience: 0"),
        (b"checkpoint_every: 200", b"checkpoint_every: 0"),
        (b"warmup: 0.1", b"warmup: 1e-1"),  # text to YAML 1.1
    ],
)
def test_a_wrong_or_missing_value_is_refused(old: bytes, new: bytes) -> None:
    assert parse_scale(GOOD, "s.yaml").name == "mini"
    assert old in GOOD
    with pytest.raises(ConfigError, match=r"s\.yaml"):
        parse_scale(GOOD.replace(old, new, 1), "s.yaml")


def test_a_duplicate_key_is_refused() -> None:
    with pytest.raises(DataError, match="duplicate key"):
        parse_scale(GOOD + b"name: mini\n", "s.yaml")


@pytest.mark.parametrize("name", ["mini", "xtreme"])
def test_every_trained_task_of_the_benchmark_has_its_settings(name: str) -> None:
    tasks = load_benchmark(name).tasks.values()
    intermediate = [task for task in tasks if task.role is Role.INTERMEDIATE]
    assert {task.name for task in intermediate if not task.study} == set(
        training_names(Role.INTERMEDIATE)
    )
    for scale in map(load_scale, SCALES):
        for task in intermediate:
            assert scale.tuning(str(task.tuning)).epochs > 0
    trained = {
        training_task(task, load_benchmark(name)) for task in targets(load_benchmark(name))
    } - {None}
    assert trained == set(training_names(Role.TARGET))


@pytest.mark.parametrize("name", SCALES)
def test_a_runs_settings_are_the_scales_and_survive_the_way_to_a_worker(name: str) -> None:
    scale = load_scale(name)
    made = scale.training_config(seed=7, learning_rate=1e-5)
    assert made.model_dump() == scale.training.model_dump() | {
        "seed": 7,
        "learning_rate": 1e-5,
        "dtype": scale.dtype,
        "threads": scale.threads,
    }
    assert TrainingConfig.model_validate(json.loads(json.dumps(made.model_dump()))) == made


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", 1.0),
        ("learning_rate", 0.0),
        ("learning_rate", 1.0),
        ("dtype", "float16"),
        ("warmup", 1.0),
        ("dropout", -0.1),
        ("clip", 0),
        ("patience", 0),
        ("development_rows", True),
        ("save_every", 200),  # decides no result, so it is none of them
    ],
)
def test_settings_out_of_range_are_refused(field: str, value: object) -> None:
    good = load_scale("mini").training_config(1, 1e-3).model_dump()
    with pytest.raises(ValidationError, match=field):
        TrainingConfig.model_validate(good | {field: value})


def test_jiants_xtreme_recipe_stands_in_the_paper_scale() -> None:
    """From jiant's d_write_configs.sh, e_run_models.sh and c_tokenize_and_cache.sh."""
    scale = load_scale("paper")
    recipe = {
        "xnli": (2, 32, 256),
        "pawsx": (5, 32, 256),
        "udpos": (10, 32, 256),
        "panx": (10, 32, 256),
        "xquad": (2, 16, 384),
        "tydiqa": (2, 16, 384),
    }
    for task, (epochs, batch, length) in recipe.items():
        tuning = scale.tuning(task)
        assert (tuning.epochs, tuning.batch, tuning.max_length) == (epochs, batch, length)
        assert (tuning.learning_rate, tuning.train_rows) == (1e-5, None)
    training = scale.training
    assert (training.warmup, training.weight_decay, training.epsilon, training.clip) == (
        0.1,
        0.01,
        1e-8,
        1.0,
    )
    assert (training.evaluate_every, training.development_rows, training.patience) == (
        1000,
        500,
        30,
    )
    assert (training.dropout, training.length_pool) == (None, 1)
    assert (scale.mixture.cap, scale.seeds, scale.evaluation_rows) == (2**17, (1, 2, 3), None)
    retrieval = scale.retrieval
    assert (retrieval.layer, retrieval.pooling, retrieval.max_length, retrieval.neighbours) == (
        14,
        "mean",
        512,
        4,
    )


def test_the_encoders_are_the_pinned_ones() -> None:
    pins = {(pin.repository, pin.revision) for pin in PINNED.values()}
    for name in ("small", "base", "paper"):
        encoder = load_scale(name).encoder
        assert (encoder.name, encoder.revision) in pins
    assert load_scale("mini").encoder.revision is None


@pytest.mark.parametrize("name", ["small", "base", "paper"])
def test_every_number_of_the_real_scales_says_where_it_is_from(name: str) -> None:
    """A comment on its own line, or one above the section."""
    lines = text(name).decode().splitlines()
    numbers = [
        line for line in lines if line.startswith("  ") and any(char.isdigit() for char in line)
    ]
    for line in numbers:
        in_section = line.strip().split(":")[0] in {
            *training_names(Role.INTERMEDIATE),
            *training_names(Role.TARGET),
        }
        assert in_section or "#" in line, line
    for section in ("intermediate:", "targets:"):
        assert lines[lines.index(section) - 1].startswith("# ")
    assert len(yaml.safe_load(text(name))["intermediate"]) == 9
    said = "ours" if name == "small" else "unverified: not read from the paper"
    assert said in lines[lines.index("intermediate:") - 1]


def test_learning_rate_and_cap_follow_the_row() -> None:
    scale = load_scale("paper")
    assert scale.learning_rate(("mnli",), False) == 1e-5
    assert scale.learning_rate(("mnli",), True) == scale.learning_rate((), True) == 5e-6
    assert scale.learning_rate(("mnli", "qqp"), False) == scale.mixture.learning_rate
    assert scale.cap(("mnli",), False) is None
    assert scale.cap((), True) is None
    assert scale.cap(("mnli", "qqp"), False) == 2**17
    assert scale.cap(("mnli",), True) == 16384
    with pytest.raises(ConfigError, match="did you mean 'mnli'"):
        scale.tuning("mnlii")
    for row in rows(load_benchmark("mini")):
        if row.tasks or row.mlm:
            assert scale.learning_rate(row.tasks, row.mlm) > 0
