"""cryoDRGN."""
