"""One self-contained page that shows data, results and scores."""

from cryoarena.report.page import write_report

__all__ = ["write_report"]
