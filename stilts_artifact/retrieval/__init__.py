"""Retrieval: embed sentences, find exact nearest neighbours, mine translations, score BUCC and Tatoeba."""
