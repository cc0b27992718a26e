"""Figures of results as matplotlib figures; the page and `cryoarena.plots` draw with the same functions."""
