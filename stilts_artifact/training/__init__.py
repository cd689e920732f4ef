"""Phases (ii) and (iii) train here: one loop (:mod:`loop`) for tasks, mixtures and text."""
