"""ManifoldEM: manifolds of projection directions, joined into one conformational coordinate."""
