"""ASPIRE-Python: the covariance of 3-D structure at low resolution."""
