"""RELION."""
