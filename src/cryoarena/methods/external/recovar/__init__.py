"""RECOVAR."""
