"""DynaMight."""
