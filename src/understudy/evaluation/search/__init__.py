"""Search: for each row of one set its nearest rows of another; exact over all pairs, in bounded memory."""

from understudy.evaluation.search.measures import exact_r
from understudy.evaluation.search.nearest import Neighbours, search
from understudy.evaluation.search.rows import ArrayRows, Rows, UnitRows, unit_vectors

__all__ = ["ArrayRows", "Neighbours", "Rows", "UnitRows", "exact_r", "search", "unit_vectors"]
