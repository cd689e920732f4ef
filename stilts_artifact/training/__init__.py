"""Phases (ii) and (iii) train here: one function for single tasks and mixtures, on transformers' Trainer."""
