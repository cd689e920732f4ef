"""Which engine serves, the self-test that keeps a broken GPU out, and what fits in memory."""

from __future__ import annotations

import pytest

from stilts_artifact.errors import ConfigError, ResourceError
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
