"""The columns of every score table (docs/formats.md)."""

COLUMNS = (
    "dataset",
    "method",
    "run",
    "metric",
    "statistic",
    "value",
    "unit",
    "standard_error",
    "n",
    "status",
    "reason",
    "floor",
    "ceiling",
    "normalised",
    "direction",
    "metric_version",
    "coverage",
    "particles",
)
