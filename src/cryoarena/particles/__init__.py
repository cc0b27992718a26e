"""Particle stacks on disk: .mrcs shards with .star, .cs and cryoDRGN .pkl tables."""
