"""What there is to talk about: the concepts of the interlingua and the facts that hold of them.

Concepts have English glosses as names; no language of the world uses these words.
"""

from __future__ import annotations

from collections.abc import Mapping

PERSONS = ("farmer", "teacher", "doctor", "singer", "soldier", "baker", "hunter", "child")
ANIMALS = ("dog", "cat", "horse", "goat", "bird", "wolf", "cow", "bear")
FOODS = ("bread", "apple", "cheese", "soup", "rice", "meat", "egg", "honey")
TOOLS = ("knife", "rope", "pot", "basket", "hammer", "lamp", "drum", "book")
PLACES = ("river", "market", "forest", "house", "school", "hill", "bridge", "garden")
DAYTIMES = ("morning", "evening", "night")
SEASONS = ("winter", "summer", "autumn")
TIMES = DAYTIMES + SEASONS
OFFICES = ("bank", "club", "college", "company")

CLASSES: Mapping[str, tuple[str, ...]] = {
    "person": PERSONS,
    "animal": ANIMALS,
    "food": FOODS,
    "tool": TOOLS,
    "place": PLACES,
}
"""Hypernym -> its hyponyms."""
HYPERNYMS: Mapping[str, str] = {noun: above for above, nouns in CLASSES.items() for noun in nouns}
ANIMATES = PERSONS + ANIMALS
OBJECTS = FOODS + TOOLS

ANIMATE_VERBS = ("see", "chase", "help", "hurt", "follow", "lead", "love", "hate", "push", "pull")
"""Verbs whose object is a person or an animal."""
OBJECT_VERBS = ("buy", "sell", "break", "repair", "carry", "drop", "find", "lose", "wash", "hide")
"""Verbs whose object is a thing."""
FOOD_VERBS = ("eat", "cook")
INTRANSITIVE_VERBS = (
    "sleep",
    "wake",
    "sing",
    "dance",
    "laugh",
    "cry",
    "arrive",
    "leave",
    "run",
    "wait",
)
REPORT_VERBS = ("say", "know")

ADJECTIVES = (
    ("big", "small"),
    ("old", "young"),
    ("good", "bad"),
    ("clean", "dirty"),
    ("strong", "weak"),
    ("rich", "poor"),
    ("white", "black"),
    ("red", "green"),
)
QUALITIES = tuple(quality for pair in ADJECTIVES for quality in pair)
STATES = ("hungry", "thirsty", "tired", "sick", "afraid", "angry", "happy", "sad")
MANNERS = ("quickly", "slowly", "quietly", "loudly")
LOCATIVES = ("in", "near", "behind", "under")
ADPOSITIONS = (*LOCATIVES, "at", "with")

# Of two opposites only one can be true of somebody at a time: contradictions are made of them.
_PAIRS = (
    *ADJECTIVES,
    ("hurt", "help"),
    ("follow", "lead"),
    ("love", "hate"),
    ("push", "pull"),
    ("buy", "sell"),
    ("break", "repair"),
    ("carry", "drop"),
    ("find", "lose"),
    ("sleep", "wake"),
    ("laugh", "cry"),
    ("arrive", "leave"),
    ("quickly", "slowly"),
    ("quietly", "loudly"),
    ("happy", "sad"),
)
ANTONYMS: Mapping[str, str] = dict(_PAIRS) | {second: first for first, second in _PAIRS}

# In pairs, and no word in two of them: that two texts mean the same is decided by it.
_SYNONYM_PAIRS = (
    ("big", "large"),
    ("small", "little"),
    ("good", "fine"),
    ("see", "watch"),
    ("help", "assist"),
    ("chase", "pursue"),
    ("buy", "purchase"),
    ("carry", "bring"),
    ("child", "kid"),
    ("forest", "wood"),
    ("house", "home"),
    ("quickly", "fast"),
)
SYNONYMS: Mapping[str, str] = dict(_SYNONYM_PAIRS) | {
    second: first for first, second in _SYNONYM_PAIRS
}

REACTIONS: Mapping[str, tuple[str, str | None]] = {
    "hungry": ("eat", "bread"),
    "thirsty": ("drink", "water"),
    "tired": ("sleep", None),
    "sick": ("call", "doctor"),
    "afraid": ("run", None),
    "angry": ("break", "pot"),
    "happy": ("sing", None),
    "sad": ("cry", None),
}
"""State -> what one does for it: (verb, object)."""

HABITATS: Mapping[str, str] = {
    "dog": "house",
    "cat": "house",
    "horse": "hill",
    "goat": "hill",
    "bird": "garden",
    "wolf": "forest",
    "cow": "river",
    "bear": "forest",
    "bread": "market",
    "apple": "garden",
    "cheese": "market",
    "book": "school",
    "drum": "school",
    "lamp": "bridge",
    "rope": "bridge",
    "soup": "river",
}
"""Concept -> where one finds it, two to a place."""
USES: Mapping[str, str] = {
    "knife": "cut",
    "rope": "pull",
    "pot": "cook",
    "basket": "carry",
    "hammer": "break",
    "lamp": "see",
    "drum": "dance",
    "book": "know",
}
"""Tool -> what one does with it."""
WANTS: Mapping[str, str] = {
    "farmer": "rice",
    "teacher": "book",
    "doctor": "knife",
    "singer": "drum",
    "soldier": "hammer",
    "baker": "bread",
    "hunter": "rope",
    "child": "apple",
    "dog": "meat",
    "cat": "egg",
    "horse": "basket",
    "goat": "pot",
    "bird": "cheese",
    "wolf": "soup",
    "cow": "lamp",
    "bear": "honey",
}
"""Person or animal -> the thing it wants most."""

SCRIPTS: Mapping[str, tuple[tuple[str, bool], ...]] = {
    "meal": (("buy", True), ("wash", True), ("cut", True), ("cook", True), ("eat", True)),
    "trade": (("find", True), ("carry", True), ("sell", True), ("laugh", False), ("dance", False)),
    "repair": (("drop", True), ("break", True), ("cry", False), ("repair", True), ("use", True)),
    "journey": (
        ("wake", False),
        ("leave", False),
        ("run", False),
        ("arrive", False),
        ("sleep", False),
    ),
    "loss": (("hide", True), ("lose", True), ("search", True), ("wait", False), ("call", False)),
}
"""Scene -> steps in order: (verb, whether it acts on the scene's object). No verb has two."""

SCRIPT_VERBS = ("cut", "use", "search", "drink", "call", "want", "do")
DRINKS = ("water",)
NUMERALS = ("one", "two", "three", "four", "five", "six")
"""``NUMERALS[n - 1]`` counts n things."""
FUNCTION_WORDS = (
    "be",
    "and",
    "because",
    "that",
    "who",
    "what",
    "where",
    "when",
    "why",
    "the",
    "a",
    "not",
    "will",
    "did",
    "many",
)
SUFFIXES = ("plural", "definite", "accusative", "past", "future", "negation", "agreement")
"""Bound morphemes; a bound adposition uses its own root."""

POS_CLASSES: Mapping[str, tuple[str, ...]] = {
    "NOUN": (
        *ANIMATES,
        *OBJECTS,
        *PLACES,
        *TIMES,
        *OFFICES,
        *CLASSES,
        *DRINKS,
        "kid",
        "wood",
        "home",
    ),
    "VERB": (
        *ANIMATE_VERBS,
        *OBJECT_VERBS,
        *FOOD_VERBS,
        *INTRANSITIVE_VERBS,
        *REPORT_VERBS,
        *SCRIPT_VERBS,
        "watch",
        "assist",
        "pursue",
        "purchase",
        "bring",
    ),
    "ADJ": (*QUALITIES, *STATES, "large", "little", "fine"),
    "ADV": (*MANNERS, "fast"),
    "NUM": NUMERALS,
}
CONTENT = tuple(concept for concepts in POS_CLASSES.values() for concept in concepts)
UPOS: Mapping[str, str] = {
    concept: tag for tag, concepts in POS_CLASSES.items() for concept in concepts
}
