"""Utility: what a downstream task learns from synthetic cases, tested on real subjects that no generator saw."""
