"""Run cells, score results, chain them into suites."""
