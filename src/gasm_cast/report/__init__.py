"""Reports: tables, figures, one HTML page, and a paper's numbers; without torch."""

from gasm_cast.report.page import build
from gasm_cast.report.record import RunSummary, read_groups, read_run

__all__ = ["RunSummary", "build", "read_groups", "read_run"]
