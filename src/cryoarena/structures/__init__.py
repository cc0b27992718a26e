"""Atoms: read them, move them, turn them into density."""
