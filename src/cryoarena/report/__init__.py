"""One self-contained page that shows data, results and scores."""
