"""OPUS-DSD."""
