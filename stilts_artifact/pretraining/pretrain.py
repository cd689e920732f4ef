"""Phase (i): pretrain the small XLM-R of the mini scale, by masked language modelling.

Besides masked tokens, it tells how two joined texts relate; see :mod:`discourse`.

The same architecture class, layout of ids and file format as the public XLM-R, so that every line
of code that touches the one is exercised on the other. Killed at any instant, a run resumes from
its last checkpoint and ends with the same weights, bit for bit, on the same machine and number of
threads.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.documents import dump_json, parse_json, read_document
from stilts_artifact.errors import ConfigError, IntegrityError
from stilts_artifact.files import MANIFEST, publish_folder, write_file
from stilts_artifact.model.loading import export_state, scaled_initial_range
from stilts_artifact.model.manifest import WEIGHTS, verify_folder, write_manifest
from stilts_artifact.model.masking import mask_tokens
from stilts_artifact.model.weights import State
from stilts_artifact.pretraining.batches import (
    BOS,
    EOS,
    MAX_TOKENS,
    PAD,
    START,
    Batch,
    StreamPosition,
    batches,
    make_tokenizer,
    words_and_specials,
)
from stilts_artifact.pretraining.card import CARD, FACTS, render_card
from stilts_artifact.pretraining.discourse import OPEN
from stilts_artifact.pretraining.recipe import Recipe
from stilts_artifact.training import checkpoints
from stilts_artifact.training.checkpoints import Checkpoint, load_training_state, training_state
from stilts_artifact.training.determinism import fixed_arithmetic
from stilts_artifact.training.loop import Progress, Silent
from stilts_artifact.training.schedule import linear_rate

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    from stilts_artifact.model.heads import MaskedLanguageHead

_DROPOUT = 0.1  # XLM-R's, for fine-tuning
_REPORTED = 100  # last steps whose mean loss is reported
_BETAS = (0.9, 0.98)  # RoBERTa's (Liu et al. 2019, section 3.1)
_WEIGHT_DECAY = 0.01
_CLIP = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Trainee:
    """What is being trained; ``both`` holds encoder and head."""

    encoder: XLMRobertaModel
    head: MaskedLanguageHead
    both: nn.ModuleDict
    optimizer: torch.optim.Optimizer


@dataclass(frozen=True, slots=True)
class RunState:
    """Everything about a run but its tensors.

    Args:
        run: identifies recipe and data; a checkpoint of another run is refused.
        step: optimiser steps done.
        place: in the stream of batches.
        losses: of the last steps, for the report.
    """

    run: str
    step: int
    place: StreamPosition
    losses: tuple[float, ...]


def pretrain(
    recipe: Recipe,
    out: Path,
    work: Path,
    forbidden: Collection[str],
    *,
    progress: Progress | None = None,
    checkpoint_every: int = 250,
) -> Path:
    """Train tokenizer and encoder, and publish them as a checkpoint folder.

    Args:
        out: the folder to be made. If it is there, sound and of this recipe, nothing is done.
        work: folder for checkpoints of unfinished runs; left empty at the end.
        forbidden: sentences, as :func:`corpus.key` writes them, that the text must not contain.
        checkpoint_every: steps between checkpoints; has no influence on the result.

    Returns:
        ``out``.

    Raises:
        ConfigError: ``out`` holds something else.
        IntegrityError: ``out`` is damaged.
        ResourceError: the disk is full or a folder cannot be written.
    """
    progress = progress or Silent()
    if out.exists():
        _require_same(out, recipe)
        return out
    with fixed_arithmetic(recipe.threads):
        tokenizer = make_tokenizer(recipe, forbidden)
        run = _identity(recipe, tokenizer)
        trainee = new_trainee(recipe, len(tokenizer))
        own = work / run
        state = _restore(own, trainee.both, trainee.optimizer, run, progress.note)
        if state is not None:
            progress.note(f"resumed at step {state.step} of {recipe.steps}")
        state = _train(
            recipe,
            trainee,
            tokenizer,
            forbidden,
            state or RunState(run, 0, START, ()),
            _Watch(progress, own, checkpoint_every),
        )
        _publish(out, recipe, trainee, tokenizer, state)
    shutil.rmtree(own, ignore_errors=True)
    return out


def new_config(recipe: Recipe, vocabulary: int, dropout: float) -> XLMRobertaConfig:
    """XLM-R's architecture at the recipe's size; all but the sizes as in the public models."""
    from transformers import XLMRobertaConfig

    return XLMRobertaConfig(
        architectures=["XLMRobertaForMaskedLM"],
        vocab_size=vocabulary,
        hidden_size=recipe.hidden,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        intermediate_size=recipe.feed_forward,
        hidden_act="gelu",
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        # The RoBERTa family counts positions from the padding id, 1, on.
        max_position_embeddings=MAX_TOKENS + 2,
        # No segments: `</s></s>` alone stands between two texts.
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        initializer_range=scaled_initial_range(recipe.hidden),
        bos_token_id=BOS,
        pad_token_id=PAD,
        eos_token_id=EOS,
    )


def new_trainee(recipe: Recipe, vocabulary: int) -> Trainee:
    """An untrained encoder with its head and optimiser; the weights depend on the recipe's seed."""
    import torch
    from torch import nn
    from transformers import XLMRobertaModel

    from stilts_artifact.model.heads import MaskedLanguageHead

    torch.manual_seed(recipe.seed)
    encoder = XLMRobertaModel(
        new_config(recipe, vocabulary, recipe.dropout), add_pooling_layer=True
    )
    # It is there so that every later phase loads the same set of weights as from XLM-R.
    if encoder.pooler is not None:
        encoder.pooler.requires_grad_(False)  # masked language modelling does not touch it
    head = MaskedLanguageHead(encoder)
    both = nn.ModuleDict({"encoder": encoder, "head": head}).train()
    trained = [parameter for parameter in both.parameters() if parameter.requires_grad]
    weights = [parameter for parameter in trained if parameter.ndim > 1]
    # Biases and layer norms are not decayed, as in BERT.
    others = [parameter for parameter in trained if parameter.ndim < 2]
    groups = [
        {"params": weights, "weight_decay": _WEIGHT_DECAY},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=_BETAS, fused=True)
    return Trainee(encoder, head, both, optimizer)


@dataclass(frozen=True, slots=True)
class _Watch:
    """Whom a run reports to, and where and how often it saves itself."""

    progress: Progress
    checkpoints: Path
    checkpoint_every: int


def _train(
    recipe: Recipe,
    trainee: Trainee,
    tokenizer: PreTrainedTokenizerFast,
    forbidden: Collection[str],
    state: RunState,
    watch: _Watch,
) -> RunState:
    """Run the steps that are left."""
    losses = deque(state.losses, maxlen=_REPORTED)
    stream = batches(recipe, tokenizer, forbidden, state.place)
    for step in range(state.step, recipe.steps):
        place, batch = next(stream)
        losses.append(_step(recipe, trainee, batch, step))
        state = RunState(state.run, step + 1, place, tuple(losses))
        watch.progress.step(step + 1, recipe.steps, losses[-1])
        # Not after the last step: the result itself comes next.
        if (step + 1) % watch.checkpoint_every == 0 and step + 1 < recipe.steps:
            _save(watch.checkpoints, trainee.both, trainee.optimizer, state)
    return state


def _step(recipe: Recipe, trainee: Trainee, batch: Batch, step: int) -> float:
    """One optimiser step. All randomness is a function of seed and step."""
    import torch

    # A prime beyond any number of steps: runs of neighbouring seeds share no draw.
    seed = recipe.seed * 10_000_019 + step
    torch.manual_seed(seed)  # for dropout
    masked = mask_tokens(
        batch.input_ids,
        rate=recipe.mask_rate,
        vocabulary=words_and_specials(trainee.encoder.config.vocab_size),
        generator=torch.Generator().manual_seed(seed),
    )
    for group in trainee.optimizer.param_groups:
        group["lr"] = recipe.learning_rate * rate(recipe, step)
    is_open = batch.told == OPEN
    # At closed and told positions the text is shown as it is; only open ones are masked.
    seen = torch.where(is_open, masked.input_ids, batch.input_ids)
    wanted = torch.where(is_open & masked.chosen, batch.input_ids, batch.told)
    states = trainee.encoder(input_ids=seen, attention_mask=(seen != PAD).long()).last_hidden_state
    loss = torch.zeros(())
    # Masked tokens, joining words and told tokens are averaged apart, or the few of one kind would
    # drown among the others. Only these positions are scored: [rows, length, hidden] -> [chosen,
    # hidden].
    opening = batch.input_ids == BOS
    for kind in (is_open, opening, ~is_open & ~opening):
        chosen = kind & (wanted >= 0)
        if chosen.any():
            loss = loss + trainee.head.loss(trainee.head(states[chosen]), wanted[chosen])
    trainee.optimizer.zero_grad()
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(trainee.both.parameters(), _CLIP)
    trainee.optimizer.step()
    return loss.item()


def rate(recipe: Recipe, step: int) -> float:
    """Share of the peak learning rate: a long decline, broken off anywhere by a short cooldown.

    Source: the warmup-stable-decay schedule of MiniCPM (Hu et al. 2024, section 4.2), here with a
    gentle slope where theirs is flat.
    """
    return linear_rate(step, recipe.horizon, recipe.warmup) * min(
        1.0, (recipe.steps - step) / recipe.cooldown
    )


def _save(
    folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer, state: RunState
) -> Path:
    """Publish a checkpoint; see :func:`checkpoints.save`."""
    facts = {"place": state.place, "losses": state.losses}
    return checkpoints.save(
        folder, Checkpoint(state.run, state.step, facts), training_state(module, optimizer)
    )


def _restore(
    folder: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    run: str,
    note: Callable[[str], None],
) -> RunState | None:
    """Load the newest sound checkpoint into module and optimizer; see :func:`checkpoints.restore`.

    Returns:
        The state, or ``None`` if there is no checkpoint to resume from; then nothing was loaded.
    """

    def use(checkpoint: Checkpoint, tensors: State, where: str) -> None:
        # Before any tensor is loaded: what cannot be read must leave nothing behind.
        _read_state(checkpoint, where)
        load_training_state(tensors, module, optimizer, where)

    found = checkpoints.restore(folder, run, use, note)
    return None if found is None else _read_state(found, str(folder))


def _read_state(checkpoint: Checkpoint, where: str) -> RunState:
    try:
        place, losses = (
            StreamPosition(*checkpoint.facts["place"]),
            tuple(checkpoint.facts["losses"]),
        )
    except (KeyError, TypeError) as error:
        raise IntegrityError("not the state of a run", where=where, got=str(error)) from error
    return RunState(checkpoint.run, checkpoint.step, place, losses)


def _identity(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> str:
    """Names a run: the recipe, and through the tokenizer the text that it is trained on."""
    vocabulary = tokenizer.backend_tokenizer.to_str()
    return hashlib.sha256(f"{recipe.digest}\n{vocabulary}".encode()).hexdigest()[:16]


def _require_same(out: Path, recipe: Recipe) -> None:
    """Accept an existing result only if it is whole and of this recipe."""
    if (out / MANIFEST).is_file():
        verify_folder(out)
        found = parse_json(read_document(out / FACTS), str(out / FACTS)).get("recipe")
        if found == recipe.facts:
            return
    fix = "name another folder, or remove this one"
    raise ConfigError(
        "folder holds something else",
        where=str(out),
        expected="no folder, or this encoder",
        fix=fix,
    )


def _publish(
    out: Path, recipe: Recipe, trainee: Trainee, tokenizer: PreTrainedTokenizerFast, state: RunState
) -> None:
    """Make the folder of the encoder, which appears whole."""
    from safetensors.torch import save_file

    facts = {
        "recipe": recipe.facts,
        "parameters": sum(parameter.numel() for parameter in trainee.both.parameters()),
        "languages": list(recipe.text),
        "final_loss": round(sum(state.losses) / max(1, len(state.losses)), 4),
    }
    with publish_folder(out) as made:
        config = new_config(recipe, len(tokenizer), _DROPOUT).to_dict()
        write_file(made / "config.json", dump_json(dict(sorted(config.items()))))
        save_file(
            export_state(trainee.encoder, trainee.head),
            made / WEIGHTS,
            metadata={"format": "pt"},
        )
        tokenizer.save_pretrained(made)
        write_file(made / FACTS, dump_json(facts))
        write_file(made / CARD, render_card(facts, None))
        # Last: a folder without it is not whole.
        write_manifest(made)
        for path in made.iterdir():
            path.chmod(0o644)  # some of the writers make private files
