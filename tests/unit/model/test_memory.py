"""What memory does not hold is halved until it does, and one example that does not fit is said."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import XLMRobertaConfig

from stilts_artifact.errors import ResourceError
from stilts_artifact.model import memory
from stilts_artifact.model.memory import Fitting, lacks_memory

CPU = torch.device("cpu")
CONFIG = XLMRobertaConfig(num_hidden_layers=2, hidden_size=16)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """A GPU of 80 GB, of which this process holds 20 and others 50."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (10 * 10**9, 80 * 10**9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 20 * 10**9)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    before = dict(memory._REMEMBERED)
    memory._REMEMBERED.clear()
    yield torch.device("cuda", 0)
    memory._REMEMBERED.clear()
    memory._REMEMBERED.update(before)


def full() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore lines")


@pytest.mark.parametrize(
    ("error", "lacks"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
    ids=str,
)
def test_which_errors_say_that_memory_is_lacking(error: Exception, lacks: bool) -> None:
    assert lacks_memory(error) is lacks


def test_torchs_own_error_is_one_of_them() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert lacks_memory(caught.value)


@pytest.mark.slow
@given(
    batches=st.lists(st.lists(st.integers(), min_size=1, max_size=9), max_size=6),
    holds=st.integers(8, 60),
)
def test_everything_is_computed_once_in_order_and_nothing_too_large_twice(
    batches: list[list[int]], holds: int
) -> None:
    done: list[int] = []
    tried: list[int] = []

    def work(batch: list[int]) -> bool:
        tried.append(8 * len(batch))
        if 8 * len(batch) > holds:
            full()
        done.extend(batch)
        return True

    fitting = Fitting.of("work", CPU, CONFIG)
    with patch.object(memory.gc, "collect"):  # takes a tenth of a second, with torch loaded
        fitting.each(batches, lambda batch: 8 * len(batch), work)
    assert done == [item for batch in batches for item in batch]
    failed = [size for size in tried if size > holds]
    assert sorted(failed, reverse=True) == failed == list(dict.fromkeys(failed))
    if failed:
        assert fitting.limit is not None
        assert fitting.within(1000) == fitting.limit == failed[-1] // 2
    else:
        assert fitting.within(1000) == 1000


@pytest.mark.slow
def test_one_example_that_does_not_fit_says_who_holds_the_memory(gpu: torch.device) -> None:
    fitting = Fitting.of("training, SpanHead", gpu, CONFIG)
    with pytest.raises(ResourceError) as caught:
        fitting.each([[0, 1]], lambda batch: 512 * len(batch), lambda _: full())
    said = str(caught.value)
    assert "not even one example" in said
    assert "training, SpanHead, encoder of 2 layers of 16" in said
    assert "512 tokens on cuda:0 of 80.0 GB, 50.0 GB of it not this process's" in said
    assert "Tried to allocate 2.00 GiB." in said and "more lines" not in said
    assert "end what else uses this memory" in said


def test_a_fault_of_another_kind_is_no_lack_of_memory() -> None:
    def broken(_: list[int]) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        Fitting.of("work", CPU, CONFIG).each([[0, 1]], len, broken)


@pytest.mark.slow
def test_a_gpu_is_remembered_for_the_same_work_and_size_and_a_cpu_is_not(
    gpu: torch.device,
) -> None:
    for device in (gpu, CPU):
        assert Fitting.of("work", device, CONFIG).attempt(4, 4000, full) is None
    larger = XLMRobertaConfig(num_hidden_layers=24, hidden_size=1024)
    assert Fitting.of("work", gpu, CONFIG).limit == 2000
    assert Fitting.of("other work", gpu, CONFIG).limit is None
    assert Fitting.of("work", gpu, larger).limit is None
    assert Fitting.of("work", torch.device("cuda", 1), CONFIG).limit is None
    # A CPU's run is the same to the bit, whatever ran before it.
    assert Fitting.of("work", CPU, CONFIG).limit is None


@pytest.mark.slow
def test_the_tensors_of_the_attempt_are_gone_before_the_cache_is_emptied(
    gpu: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error's traceback holds the frames of the attempt, and a cycle holds itself."""
    alive: list[int] = []
    watched: list[object] = []

    class Held:
        def __init__(self) -> None:
            self.itself = self
            watched.append(object())

        def __del__(self) -> None:
            watched.pop()

    def attempt() -> None:
        held = Held()
        full()
        del held

    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: alive.append(len(watched)))
    assert Fitting.of("work", gpu, CONFIG).attempt(2, 100, attempt) is None
    assert alive == [0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_a_real_gpu_that_is_full_is_given_less_and_goes_on() -> None:
    """A gibibyte for this process, and 300 MiB for an example."""
    device, done = torch.device("cuda", 0), []

    def work(batch: list[int]) -> bool:
        held = torch.zeros(len(batch) * 300 << 20, dtype=torch.uint8, device=device)
        done.extend(batch if int(held.sum()) == 0 else [])
        return True

    _, total = torch.cuda.mem_get_info(device)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((1 << 30) / total, device)
    memory._REMEMBERED.clear()
    try:
        fitting = Fitting.of("work", device, CONFIG)
        fitting.each([[0, 1, 2, 3, 4, 5, 6, 7]], len, work)
        assert done == list(range(8))
        # Eight, then four did not fit.
        assert Fitting.of("work", device, CONFIG).limit == fitting.limit == 2
        with pytest.raises(ResourceError, match="not even one example"):
            fitting.attempt(1, 1, lambda: torch.zeros(2 << 30, dtype=torch.uint8, device=device))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
        memory._REMEMBERED.clear()
