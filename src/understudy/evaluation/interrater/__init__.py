"""Raters: how far two annotators of the same real cases agree, the ceiling beside a segmenter's scores."""
