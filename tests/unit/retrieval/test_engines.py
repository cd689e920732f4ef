"""Which engine serves, and the self-test that keeps a broken GPU out."""

from __future__ import annotations

import pytest

from stilts_artifact.errors import ResourceError
from stilts_artifact.retrieval import engines, gpu
from stilts_artifact.retrieval.gpu import GpuAnswer, run_self_test


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
    answer = run_self_test(gpu._SELF_TEST, 60)
    assert answer.works == gpu.gpu_answers().works
    assert answer.reason


def test_auto_shares_a_pass_for_both_directions_and_takes_faiss_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines, "gpu_answers", lambda: GpuAnswer(False, "absent"))
    assert engines.choose_engine("auto", both=True) == "shared"
    assert engines.choose_engine("auto", both=False) == "faiss"


def test_auto_takes_a_gpu_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "gpu_answers", lambda: GpuAnswer(True, "the self-test passed"))
    assert engines.choose_engine("auto", both=True) == "faiss-gpu"


def test_a_gpu_that_does_not_answer_is_never_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "gpu_answers", lambda: GpuAnswer(False, "driver too old"))
    with pytest.raises(ResourceError, match="driver too old"):
        engines.choose_engine("faiss-gpu", both=True)


def test_without_faiss_numpy_still_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "gpu_answers", lambda: GpuAnswer(False, "absent"))
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda _: None)
    assert engines.choose_engine("auto", both=False) == "shared"
    with pytest.raises(ResourceError, match="not installed"):
        engines.choose_engine("faiss", both=True)


def test_a_backend_has_name_and_version() -> None:
    assert engines.backend_of("shared").startswith("numpy-")
    assert engines.backend_of("faiss")[6].isdigit()
