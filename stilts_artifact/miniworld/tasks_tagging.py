"""Universal Dependencies treebanks and PAN-X."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from stilts_artifact.miniworld import concepts as c
from stilts_artifact.miniworld import scenes
from stilts_artifact.miniworld.archives import tar_gz, zip_archive
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.family import AMOUNTS, FAMILY
from stilts_artifact.miniworld.grammar import Grammar, grammar
from stilts_artifact.miniworld.languages import SOURCE_LANGUAGE, languages
from stilts_artifact.miniworld.meanings import Event, Meaning, Name, Place
from stilts_artifact.miniworld.morphology import Word, join
from stilts_artifact.miniworld.splits import SplitName, distinct
from stilts_artifact.miniworld.syntax import tree
from stilts_artifact.miniworld.tables import lines

Treebanks = Sequence[tuple[str, str, Mapping[SplitName, int]]]
"""(language, bank, sentences in each split)."""
_SOURCE_BANKS: Treebanks = (
    ("qen", "Alpha", {"train": 1600, "dev": 200, "test": 200}),
    ("qen", "Beta", {"train": 800, "dev": 100, "test": 60}),
)
_EVALUATED: Mapping[SplitName, int] = {"dev": 120, "test": 200}
TREEBANKS: Treebanks = (
    *_SOURCE_BANKS,
    *((code, "Alpha", _EVALUATED) for code in languages if code not in (SOURCE_LANGUAGE, "qag")),
    ("qad", "Beta", {"test": 60}),
    ("qag", "Alpha", {"test": 200}),
)
"""One language has no dev set, one a test-only treebank."""
FAMILY_TREEBANKS: Treebanks = (
    *_SOURCE_BANKS,
    *((code, "Alpha", _EVALUATED) for code in FAMILY),
)

Sizes = Mapping[str, Mapping[SplitName, int]]
"""Language -> sentences in each split."""


def _sizes(code: str) -> dict[SplitName, int]:
    return {
        "train": 2500 if code == SOURCE_LANGUAGE else 60,
        "dev": 200,
        "test": 200 if code == "qag" else 300,
    }


PANX_SIZES: Sizes = {code: _sizes(code) for code in languages}
FAMILY_PANX_SIZES: Sizes = {code: _sizes(code) for code in AMOUNTS}


def sentences(seed: int, names: tuple[str, ...], split: SplitName, size: int) -> Iterator[Meaning]:
    """``size`` different sentences of any kind; ``names`` are the stream's."""
    r = Stream(seed, *names, split)
    source_language = grammar(SOURCE_LANGUAGE, seed)

    def draw() -> Meaning:
        return scenes.meaning(r, scenes.RICH if r.chance(0.3) else scenes.PLAIN)

    return distinct(split, draw, source_language.text, size)


# Universal Dependencies.


def treebanks(seed: int, banks: Treebanks = TREEBANKS) -> bytes:
    """The archive of all treebanks."""
    members = {}
    for code, bank, sizes in banks:
        own = grammar(code, seed)
        for split, size in sizes.items():
            drawn = sentences(seed, ("ud", code, bank), split, size)
            text = "".join(
                [conllu(own, told, f"{split}-{index}") for index, told in enumerate(drawn, 1)]
            )
            folder = f"ud-treebanks-v2.5/UD_{own.language.name}-{bank}"
            members[f"{folder}/{code}_{bank.lower()}-ud-{split}.conllu"] = text.encode()
    return tar_gz(members)


def conllu(own: Grammar, meaning: Meaning, name: str) -> str:
    """A sentence in CoNLL-U, with multiword tokens (``3-4``) and empty nodes (``5.1``)."""
    words = tree(own, meaning)
    numbers = _numbers(words)
    rows = [f"# sent_id = {name}", f"# text = {own.text(meaning)}"]
    last = len(words) - 1
    for at, word in enumerate(words):
        if word.kind == "word" and at < last and words[at + 1].kind == "clitic":
            rows.append(_multiword(words, numbers, at))
        if word.kind == "empty":
            enhanced = f"{numbers[word.head]}:{word.deprel}"
            rows.append("\t".join((numbers[at], *"__", word.upos, *"____", enhanced, "_")))
            continue
        # CoNLL-U counts from 1; 0 is the root's head.
        head = "0" if word.head < 0 else numbers[word.head]
        # Only the final punctuation mark leans on the word before it.
        space = "SpaceAfter=No" if at == last - 1 and word.kind == "word" else "_"
        kept = (word.form, word.lemma, word.upos, "_", word.features)
        fields = (*kept, head, word.deprel, "_", space)
        rows.append("\t".join((numbers[at], *fields)))
    return "\n".join(rows) + "\n\n"


def _numbers(words: Sequence[Word]) -> list[str]:
    """CoNLL-U ids: 1, 2, ... for words, ``n.1`` for an empty node after word n."""
    numbers, last = [], 0
    for word in words:
        if word.kind == "empty":
            numbers.append(f"{last}.1")
        else:
            last += 1
            numbers.append(str(last))
    return numbers


def _multiword(words: Sequence[Word], numbers: Sequence[str], at: int) -> str:
    end = at + 1
    while end < len(words) and words[end].kind == "clitic":
        end += 1
    space = "SpaceAfter=No" if end == len(words) - 1 else "_"
    return f"{numbers[at]}-{numbers[end - 1]}\t{join(words[at:end])}\t_\t_\t_\t_\t_\t_\t_\t{space}"


# PAN-X.


def panx(seed: int, sizes: Sizes = PANX_SIZES) -> bytes:
    """PAN-X: a tar.gz a language inside a zip, each token written as ``language:token<TAB>tag``."""
    members = {}
    for code, splits in sizes.items():
        own = grammar(code, seed)
        files: dict[str, bytes] = {}
        for split, size in splits.items():
            drawn = distinct(
                split,
                partial(named_event, Stream(seed, "panx", code, split)),
                grammar(SOURCE_LANGUAGE, seed).text,
                size,
            )
            files[split] = lines(line for told in drawn for line in _panx_lines(own, told))
        members[f"{code}.tar.gz"] = tar_gz(files)
    return zip_archive(members)


def named_event(r: Stream) -> Event:
    """An event about people, offices and cities."""
    told = scenes.event(r, scenes.PLAIN)._replace(agent=_named(r))
    if told.verb in c.ANIMATE_VERBS:
        told = told._replace(patient=_named(r) if r.chance(0.5) else scenes.thing(r, c.ANIMATES))
    if told.place is None or r.chance(0.5):
        told = told._replace(place=Place(r.choice(c.LOCATIVES), _place_or_office(r)))
    return told._replace(front=None if r.chance(0.7) else "place")


def _named(r: Stream) -> Name:
    return r.choice((scenes.person_name, scenes.person_name, scenes.office_name))(r)


def _place_or_office(r: Stream) -> Name:
    return r.choice((scenes.place_name, scenes.place_name, scenes.office_name))(r)


def tokens(own: Grammar, event: Event) -> list[tuple[str, str]]:
    """The written words with their named-entity tags; clitics are part of the word they lean on."""
    found: list[tuple[str, str]] = []
    for _, part in own.segments(event):
        for word in part.words:
            if word.kind == "clitic":
                found[-1] = (found[-1][0] + word.form, found[-1][1])
            elif word.kind == "word":
                found.append((word.form, word.entity))
    return [*found, (own.stop(event), "O")]


def _panx_lines(own: Grammar, event: Event) -> list[str]:
    code = own.language.code
    return [*(f"{code}:{token}\t{tag}" for token, tag in tokens(own, event)), ""]
