"""Planted-copy audit: copies are hidden on purpose, and what the detector finds of them is what it may claim."""
