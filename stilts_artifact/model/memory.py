"""How large a batch may be, found by trying: what memory does not hold is halved, and remembered.

No table knows every card, what else uses it, or an encoder that somebody brings. The batches that
are tried first are what a large card takes; a smaller one is short of memory at its first long
batch, once, and from then on gets batches that it holds.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from stilts_artifact.domain.units import readable_size
from stilts_artifact.errors import ResourceError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    Batch = TypeVar("Batch", list[int], NDArray[np.int64])

T = TypeVar("T")

# Of torch's allocators, cuBLAS and cuDNN, FAISS, and libraries in C++, most of which raise a plain
# RuntimeError; of the system, in Python's words.
_TEXTS = (
    "out of memory",
    "allocate memory",
    "not enough memory",
    "_STATUS_ALLOC_FAILED",
    "std::bad_alloc",
)

_REMEMBERED: dict[tuple[object, ...], int] = {}
"""Most padded tokens by GPU, kind of work and size of the encoder, as long as this process lives.

Not of a CPU: there a run's result is the same to the bit, whatever ran before it.
"""


def lacks_memory(error: BaseException) -> bool:
    """Whether memory was used up, of a GPU or of the machine."""
    named = type(error).__name__ in ("MemoryError", "OutOfMemoryError")
    return named or any(text in str(error) for text in _TEXTS)


@dataclass(slots=True)
class Fitting:
    """The batches of one kind of work that one device holds.

    Args:
        work: what is done, for errors; limits are remembered by it.
        device: that computes.
        size: of the encoder: what it holds at a time grows with it.
        limit: most padded tokens of a batch; ``None`` as long as no batch was too large.
    """

    work: str
    device: torch.device
    size: tuple[int, int]
    limit: int | None = None

    @classmethod
    def of(cls, work: str, device: torch.device, config: Any) -> Fitting:
        """As this process remembers it.

        Args:
            config: the encoder's.
        """
        size = (int(config.num_hidden_layers), int(config.hidden_size))
        return cls(work, device, size, _REMEMBERED.get((work, device, size)))

    def within(self, tokens: int) -> int:
        """So many tokens, or as many as the device holds."""
        return tokens if self.limit is None else min(tokens, self.limit)

    def attempt(self, examples: int, tokens: int, work: Callable[[], T]) -> T | None:
        """What ``work`` returns; ``None`` if memory does not hold it: the limit is then halved.

        Args:
            examples: of the batch that ``work`` computes.
            tokens: of the same, padding included.

        Raises:
            ResourceError: a batch that cannot be halved.
        """
        try:
            return work()
        except (MemoryError, RuntimeError) as error:
            if not lacks_memory(error):
                raise
            lack = (str(error) or type(error).__name__).splitlines()[0]
        # Not within the except: the error's traceback holds the frames, and with them the tensors,
        # that have to go before memory can be given back.
        self._release()
        if examples == 1:
            raise ResourceError(
                "out of memory: not even one example fits",
                where=f"{self.work}, encoder of {self.size[0]} layers of {self.size[1]}",
                got=f"{tokens} tokens on {self.device}{self._taken_by_others()}: {lack}",
                fix="end what else uses this memory, or give the run a GPU, or a machine, with "
                "more of it; then run it again",
            )
        self.limit = tokens // 2
        if self.device.type == "cuda":
            _REMEMBERED[self.work, self.device, self.size] = self.limit
        return None

    def each(
        self,
        batches: Iterable[Batch],
        tokens: Callable[[Batch], int],
        work: Callable[[Batch], object],
    ) -> None:
        """Do the work of all batches in order, in halves where memory asks for it.

        Args:
            batches: of examples, lists or arrays.
            tokens: of a batch, padding included.
            work: returns something other than ``None``, and may be done again.

        Raises:
            ResourceError: one example that memory does not hold.
        """
        for whole in batches:
            waiting = [whole]
            while waiting:
                batch = waiting.pop()
                count, size = len(batch), tokens(batch)
                known = self.limit is not None and count > 1 and size > self.limit
                if known or self.attempt(count, size, partial(work, batch)) is None:
                    waiting += [batch[count // 2 :], batch[: count // 2]]

    def _release(self) -> None:
        import torch

        # Graphs of autograd can be cycles, which only the collector finds.
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _taken_by_others(self) -> str:
        """Of a GPU, what other processes hold."""
        import torch

        if self.device.type != "cuda":
            return ""
        free, total = torch.cuda.mem_get_info(self.device)
        others = max(0, total - free - torch.cuda.memory_reserved(self.device))
        return f" of {readable_size(total)}, {readable_size(others)} of it not this process's"
