"""Floor and ceiling of every metric on a dataset."""
