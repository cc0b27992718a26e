"""Outside programs as methods: one folder each, run in their own environment, files in and files out."""
