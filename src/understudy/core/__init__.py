"""Floor 0: the vocabulary every stage shares (cohort, labels, encoding, results, provenance, seeds); NumPy only."""
