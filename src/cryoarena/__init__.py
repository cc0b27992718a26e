"""CryoArena: which heterogeneous cryo-EM reconstruction can be trusted, and how far."""

from importlib.metadata import version

__version__ = version("cryoarena")
