"""Words with suffixes and clitics, as the language's table of bound and free categories has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from stilts_artifact.miniworld.languages import Typology
from stilts_artifact.miniworld.lexicon import Lexicon
from stilts_artifact.miniworld.phonology import harmonise, write

Kind = Literal["word", "clitic", "empty"]

_CLITICS: dict[str, tuple[str, str]] = {
    "definite": ("DET", "det"),
    "adposition": ("ADP", "case"),
    "negation": ("PART", "advmod"),
}


class Word(NamedTuple):
    """A syntactic word. ``head`` is an index into the phrase, -1 for its root.

    A clitic is written together with the word before it; an empty word is understood but not
    written. ``entity`` is the word's named-entity tag.
    """

    form: str
    lemma: str
    upos: str
    deprel: str
    head: int = -1
    kind: Kind = "word"
    entity: str = "O"


class Phrase(NamedTuple):
    """Words with their text; ``text[start:end]`` is the noun phrase without a free adposition."""

    text: str
    words: tuple[Word, ...]
    root: int
    start: int
    end: int


def join(words: Sequence[Word]) -> str:
    """The written form: clitics joined to their hosts, empty words left out."""
    text = ""
    for word in words:
        if word.kind == "word":
            text += f" {word.form}" if text else word.form
        elif word.kind == "clitic":
            text += word.form
    return text


def phrase(words: Sequence[Word], root: int) -> Phrase:
    """A phrase that is its own core."""
    text = join(words)
    return Phrase(text, tuple(words), root, 0, len(text))


class Morphology:
    """Word forms of one language."""

    def __init__(self, language: Typology, lexicon: Lexicon) -> None:
        self.language = language
        self.lexicon = lexicon
        self.roots = lexicon.roots[language.code]
        self.suffixes = lexicon.suffixes[language.code]

    def plain(self, concept: str, upos: str, deprel: str, head: int = -1) -> Word:
        """An uninflected word."""
        form = write(self.roots[concept], self.language.script)
        return Word(form, form, upos, deprel, head)

    def expressed(self, category: str) -> bool:
        """Whether the language has a suffix for the category."""
        return category in self.language.bound

    def inflected(self, sounds: str, upos: str, marks: dict[str, str]) -> list[Word]:
        """A word with its suffixes and clitics, the host first.

        Args:
            sounds: the stem, or digits.
            marks: bound category -> sounds of its suffix; the language orders them.
        """
        # Each piece is a syntactic word: (sounds, part of speech, relation).
        pieces: list[tuple[str, str, str]] = [(sounds, upos, "root")]
        lemmas = [sounds]
        for category in self.language.bound:
            suffix = marks.get(category)
            if suffix is None:
                continue
            # With the vowel that comes before, be it of the stem or of another suffix.
            if self.language.harmony:
                suffix = harmonise(suffix, "".join(piece for piece, _, _ in pieces))
            if category in self.language.clitic:
                pieces.append((suffix, *_CLITICS[category]))
                lemmas.append(suffix)
            else:
                # A suffix joins the last piece, which may be a clitic: lemmas stay bare.
                pieces[-1] = (pieces[-1][0] + suffix, *pieces[-1][1:])
        script = self.language.script
        return [
            Word(
                write(piece, script),
                write(lemma, script),
                tag,
                deprel,
                -1,
                "clitic" if deprel != "root" else "word",
            )
            for (piece, tag, deprel), lemma in zip(pieces, lemmas, strict=True)
        ]
