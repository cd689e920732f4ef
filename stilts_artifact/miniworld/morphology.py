"""Words with suffixes and clitics, as the language's table of bound and free categories has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from stilts_artifact.miniworld.languages import Script, Typology
from stilts_artifact.miniworld.lexicon import Lexicon
from stilts_artifact.miniworld.phonology import harmonise, write

Kind = Literal["word", "clitic", "empty"]

_CLITICS: dict[str, tuple[str, str]] = {
    "definite": ("DET", "det"),
    "adposition": ("ADP", "case"),
    "negation": ("PART", "advmod"),
}
NOMINATIVE, ACCUSATIVE = "nominative", "accusative"
# Category -> the feature of Universal Dependencies, its value with the suffix and without. What
# role a bound adposition marks is the noun phrase's to say.
_FEATURES: Mapping[str, tuple[str, str, str]] = {
    "plural": ("Number", "Plur", "Sing"),
    "definite": ("Definite", "Def", "Ind"),
    "accusative": ("Case", "Acc", "Nom"),
    "adposition": ("Case", "", "Nom"),
    "past": ("Tense", "Past", "Pres"),
    "future": ("Tense", "Fut", "Pres"),
    "negation": ("Polarity", "Neg", "Pos"),
    "agreement": ("Number", "Plur", "Sing"),
}
_CASES = {
    "in": "Ine",
    "near": "Ade",
    "behind": "Pos",
    "under": "Sbe",
    "at": "Tem",
    "with": "Com",
}
_OF_VERBS = ("past", "future", "negation", "agreement")
# The categories that a part of speech has a form for; names and years have no plural.
_INFLECTED: Mapping[str, tuple[str, ...]] = {
    "NOUN": ("plural", "definite", "accusative", "adposition"),
    "PROPN": ("accusative", "adposition"),
    "NUM": ("accusative", "adposition"),
    "VERB": _OF_VERBS,
    "AUX": _OF_VERBS,
}


class Word(NamedTuple):
    """A syntactic word. ``head`` is an index into the phrase, -1 for its root.

    A clitic is written together with the word before it; an empty word is understood but not
    written. ``entity`` is the word's named-entity tag, ``features`` what its suffixes say, and what
    it says that a suffix is not there, in the words of Universal Dependencies.
    """

    form: str
    lemma: str
    upos: str
    deprel: str
    head: int = -1
    kind: Kind = "word"
    entity: str = "O"
    features: str = "_"


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


@dataclass(slots=True)
class _Piece:
    """A syntactic word in the making: sounds with suffixes and without, and what they say."""

    sounds: str
    lemma: str
    upos: str
    deprel: str
    features: dict[str, str]

    def written(self, script: Script) -> Word:
        features = sorted(f"{name}={value}" for name, value in self.features.items())
        return Word(
            write(self.sounds, script),
            write(self.lemma, script),
            self.upos,
            self.deprel,
            kind="word" if self.deprel == "root" else "clitic",
            features="|".join(features) or "_",
        )


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

    def inflected(
        self, sounds: str, upos: str, marks: dict[str, str], role: str = NOMINATIVE
    ) -> list[Word]:
        """A word with its suffixes and clitics, the host first.

        Args:
            sounds: the stem, or digits.
            marks: bound category -> sounds of its suffix; the language orders them.
            role: of a noun phrase: nominative, accusative, or the adposition that governs it.
        """
        language = self.language
        host = _Piece(sounds, sounds, upos, "root", self._unmarked(upos))
        pieces = [host]
        for category in language.bound:
            suffix = marks.get(category)
            if suffix is None:
                continue
            # With the vowel that comes before, be it of the stem or of another suffix.
            if language.harmony:
                suffix = harmonise(suffix, "".join(piece.sounds for piece in pieces))
            feature, value, _ = _FEATURES[category]
            if category in language.clitic:
                own = {} if category == "adposition" else {feature: value}
                pieces.append(_Piece(suffix, suffix, *_CLITICS[category], own))
            else:
                # A suffix joins the last piece, which may be a clitic: lemmas stay bare.
                pieces[-1].sounds += suffix
                host.features.pop(feature, None)
                pieces[-1].features[feature] = value or _CASES[role]
        return [piece.written(language.script) for piece in pieces]

    def _unmarked(self, upos: str) -> dict[str, str]:
        """What a bare form says in a language that has suffixes for the contrary."""
        bound = set(self.language.bound) - set(self.language.clitic)
        categories = [one for one in _INFLECTED[upos] if one in bound]
        return {feature: bare for feature, _, bare in map(_FEATURES.__getitem__, categories)}
