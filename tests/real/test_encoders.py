"""A real encoder in two classes, and XLM-R's whole vocabulary on all real text there is."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from stilts_artifact.data.readers import READERS
from stilts_artifact.model.features import frame_of
from stilts_artifact.model.forms.span import MAX_LENGTH, NO_ANSWER, answers, span_windows
from stilts_artifact.model.forms.tagging import tag_chunks
from stilts_artifact.model.loading import Encoder, load_encoder, load_encoder_tokenizer
from stilts_artifact.model.manifest import bring
from stilts_artifact.model.selfcheck import self_check
from tests.real.test_features import certain, read_questions

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def loaded(brought: Path, folder: Path) -> Encoder:
    """As the store has it."""
    bring(brought, folder)
    return load_encoder(folder, pooler_seed=1)


def test_both_classes_of_one_encoder_pass_the_check_and_have_equal_hidden_states(
    real_encoder: Path, real_bert: Path, real_data: Path, tmp_path: Path
) -> None:
    texts = [
        line
        for code in ("fin", "cmn", "ara")
        for line in (real_data / "tatoeba" / f"tatoeba.{code}-eng.{code}")
        .read_text("utf-8")
        .splitlines()[:3]
    ]
    states = []
    for brought in (real_encoder, real_bert):
        encoder = loaded(brought, tmp_path / brought.name)
        self_check(encoder, brought)
        assert encoder.weights.initialised == ("pooler.dense.bias", "pooler.dense.weight")
        assert encoder.tokenizer.model_max_length == 512
        tokens = encoder.tokenizer(texts, padding=True, return_tensors="pt")
        with torch.inference_mode():
            made = encoder.model(**tokens, output_hidden_states=True).hidden_states
        # Padding has positions of its own in a BERT, which nothing reads: [tokens, hidden] is left.
        read = [layer[tokens["attention_mask"].bool()] for layer in made]
        states.append((type(encoder.model).__name__, frame_of(encoder.tokenizer), read))
    (one, frame, ours), (other, another, theirs) = states
    assert (one, other) == ("XLMRobertaModel", "BertModel")
    assert frame == another
    assert len(ours) == len(theirs) == 13
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.fixture(scope="module")
def tokenizer(real_encoder: Path) -> PreTrainedTokenizerFast:
    """XLM-R's vocabulary."""
    return load_encoder_tokenizer(real_encoder)


def test_every_answer_of_xquad_and_mlqa_survives_the_way_through_xlm_rs_tokens(
    tokenizer: PreTrainedTokenizerFast, real_data: Path
) -> None:
    files = [
        *sorted((real_data / "xquad").glob("*.json")),
        *sorted((real_data / "mlqa").glob("*.json.gz")),
    ]
    assert len(files) == 26
    for path in files:
        questions = read_questions(path)
        windows = span_windows(tokenizer, questions)
        assert max(len(window.input_ids) for window in windows) <= MAX_LENGTH
        found = {window.example for window in windows if window.start != NO_ANSWER}
        assert found == set(range(len(questions))), path.name
        starts, ends = ([getattr(w, side) for w in windows] for side in ("start", "end"))
        texts = answers(windows, certain(windows, starts, ends), questions, answer_tokens=400)
        golds = [question.answers[0].text for question in questions]
        assert all(gold.strip() in text for gold, text in zip(golds, texts, strict=True))
        exact = sum(gold == text for gold, text in zip(golds, texts, strict=True))
        # Pieces of the others cross the borders of their answers.
        assert exact / len(golds) > 0.9, f"{path.name}: {exact / len(golds):.3f}"


def sentences(real_data: Path) -> Iterator[tuple[str, list[list[str]]]]:
    """The words of all treebanks and of all files of names."""
    for path in sorted((real_data / "udpos").glob("*/*.conllu.gz")):
        data, language = gzip.decompress(path.read_bytes()), path.name.split("_")[0]
        read = READERS["conllu"](data, path.name, language=language)
        yield path.name, [list(sentence.words) for sentence in read]
    for path in sorted((real_data / "ner").rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
            lines = [line for line in text.split("\n") if not line.startswith("# ")]
            blocks = "\n".join(lines).split("\n\n")
            words = [[row.split()[0] for row in block.split("\n") if row] for block in blocks]
            yield path.name, [own for own in words if own]


def test_the_tag_of_every_real_word_is_read_at_its_first_piece(
    tokenizer: PreTrainedTokenizerFast, real_data: Path
) -> None:
    """Held against what the tokenizer itself says of text that comes split into words."""
    words = compared = 0
    for name, read in sentences(real_data):
        chunks = tag_chunks(tokenizer, read, 512)
        words += sum(len(chunk.positions) for chunk in chunks)
        # A sentence beyond the limit is in several chunks, which unit tests compare.
        parts = Counter(chunk.sentence for chunk in chunks)
        whole = {chunk.sentence: chunk for chunk in chunks if parts[chunk.sentence] == 1}
        theirs = tokenizer(read, is_split_into_words=True, verbose=False)
        for index, own in enumerate(read):
            owners = theirs.word_ids(index)
            first = [owners.index(word) if word in owners else None for word in range(len(own))]
            # A word of which the tokenizer leaves nothing stands as unknown here.
            if None not in first and index in whole:
                assert whole[index].positions == first, (name, own)
                assert whole[index].input_ids == theirs["input_ids"][index], (name, own)
                compared += len(own)
    assert words == 1_163_204
    assert compared > 0.99 * words
