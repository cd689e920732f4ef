"""Which engine serves, the self-test that keeps a broken GPU out, and what fits in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from stilts_artifact.errors import ConfigError, ResourceError
from stilts_artifact.experiments import diagnosis
from stilts_artifact.retrieval import backends
from stilts_artifact.retrieval.backends import GpuAnswer, parse_memory, plan_blocks, run_self_test


def test_a_program_that_ends_well_works() -> None:
    assert run_self_test("pass", 20).works


def test_a_program_that_fails_gives_its_last_words() -> None:
    assert run_self_test("raise SystemExit('CUDA driver too old')", 20) == GpuAnswer(
        False, "CUDA driver too old"
    )


def test_a_program_that_dies_is_no_answer() -> None:
    answer = run_self_test("import os; os.kill(os.getpid(), 9)", 20)
    assert answer == GpuAnswer(False, "exit status -9")


def test_a_program_that_hangs_is_ended() -> None:
    answer = run_self_test("import time; time.sleep(60)", 0.5)
    assert not answer.works
    assert "0.5 s" in answer.reason


@pytest.mark.slow
def test_the_real_self_test_fails_without_a_gpu_and_says_so() -> None:
    answer = run_self_test(backends._SELF_TEST, 60)
    assert answer.works == backends.gpu_answers().works
    assert answer.reason


def test_auto_shares_a_pass_for_both_directions_and_takes_faiss_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backends, "gpu_answers", lambda: GpuAnswer(False, "absent"))
    assert backends.choose_engine("auto", both=True) == "shared"
    assert backends.choose_engine("auto", both=False) == "faiss"


def test_auto_takes_a_gpu_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "gpu_answers", lambda: GpuAnswer(True, "the self-test passed"))
    assert backends.choose_engine("auto", both=True) == "faiss-gpu"


def test_a_gpu_that_does_not_answer_is_never_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "gpu_answers", lambda: GpuAnswer(False, "driver too old"))
    with pytest.raises(ResourceError, match="driver too old"):
        backends.choose_engine("faiss-gpu", both=True)


def test_without_faiss_numpy_still_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "gpu_answers", lambda: GpuAnswer(False, "absent"))
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda _: None)
    assert backends.choose_engine("auto", both=False) == "shared"
    with pytest.raises(ResourceError, match="not installed"):
        backends.choose_engine("faiss", both=True)


def test_a_backend_is_named_without_the_version_that_decides_nothing() -> None:
    assert [backends.backend_of(engine) for engine in ("shared", "faiss", "faiss-gpu")] == [
        "numpy",
        "faiss",
        "faiss-gpu",
    ]


def test_a_tight_budget_gets_smaller_blocks_and_more_memory_larger_ones() -> None:
    shape = (400_000, 400_000, 1024)
    budgets = [320 << 20, 360 << 20, 1 << 30]
    plans = [plan_blocks(shape, 4, budget, both=True) for budget in budgets]
    assert plans[0].rows < plans[1].rows < plans[2].rows
    assert all(plan.bytes <= budget for plan, budget in zip(plans, budgets, strict=True))


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GiB", 4 << 30), ("512 MiB", 512 << 20), ("0.5KiB", 512), ("1TiB", 1 << 40)],
)
def test_memory_sizes(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "4", "4GB", "-1GiB", "0GiB", "GiB", "4 gib", "1e3GiB", "\u0664GiB", "9" * 5000 + "GiB"],
)
def test_what_is_no_memory_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="memory size"):
        parse_memory(text)


FAKE_FAISS = """
import numpy as np
METRIC_INNER_PRODUCT = 0
def get_num_gpus():
    return {gpus}
class StandardGpuResources:
    pass
def knn_gpu(resources, queries, corpus, k, metric):
    products = queries @ corpus.T
    indices = np.argsort(-products, axis=1, kind="stable")[:, :k]
    scores = np.take_along_axis(products, indices, axis=1)
    {fault}
    return scores, indices
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gpus", "fault", "said"),
    [
        (1, "", None),
        (0, "", "FAISS sees no GPU"),
        (1, "scores = scores.astype(np.float16).astype(np.float32)", "disagrees with NumPy"),
        (1, "scores = scores * np.float32('nan')", "disagrees with NumPy"),
        (1, "scores[17, 2] = np.nan", "disagrees with NumPy"),
        (1, "scores, indices = scores[:, ::-1], indices[:, ::-1]", "disagrees with NumPy"),
        (1, "indices = np.roll(indices, 1, axis=0)", "disagrees with NumPy"),
        # The next best in place of the best, and the best one twice: true products, of no use.
        (1, "indices = indices[:, [1, 1, 2, 3, 4]]; scores = scores[:, [1, 1, 2, 3, 4]]", "disagr"),
        (1, "indices = indices[:, [0, 0, 1, 2, 3]]; scores = scores[:, [0, 0, 1, 2, 3]]", "disagr"),
        (1, "indices = indices - len(corpus) * (indices == 7) - 1", "disagrees with NumPy"),
        (1, "raise RuntimeError('CUDA error 209: no kernel image')", "no kernel image"),
    ],
)
def test_a_gpu_that_answers_wrongly_does_not_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: int, fault: str, said: str | None
) -> None:
    """A FAISS of our own, which computes as it is told."""
    (tmp_path / "faiss.py").write_text(FAKE_FAISS.format(gpus=gpus, fault=fault))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    answer = run_self_test(backends._SELF_TEST, 60)
    assert answer.works is (said is None), answer
    assert (said or "passed") in answer.reason


def test_a_gpu_that_is_not_used_is_told_where_faiss_is_installed_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backends, "gpu_answers", lambda: GpuAnswer(False, "driver too old"))
    assert backends.unused_gpu() is None  # nobody expects one of faiss-cpu
    assert diagnosis._faiss() == []
    monkeypatch.setattr(backends.importlib.metadata, "distributions", lambda name: iter([name]))
    assert backends.unused_gpu() == "driver too old"
    (finding,) = diagnosis._faiss()
    assert finding.level == "note" and finding.detail == "driver too old: searches run on the CPU"
    monkeypatch.setattr(backends, "gpu_answers", lambda: GpuAnswer(True, "the self-test passed"))
    assert backends.unused_gpu() is None
    assert [found.level for found in diagnosis._faiss()] == ["ok"]
