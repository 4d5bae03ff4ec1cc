"""Canary audit: copies are injected on purpose, and the share that the detector flags is what it may claim."""
