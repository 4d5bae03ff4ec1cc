"""Report: results folders -> one self-contained HTML page, in a PUBLIC and an INTERNAL edition."""

from understudy.report.page import write_report

__all__ = ["write_report"]
