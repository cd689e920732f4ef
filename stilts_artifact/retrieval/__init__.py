"""Retrieval: embed sentences, find exact neighbours, mine translations, score BUCC and Tatoeba."""
