"""Floor 4: a trained generator becomes a synthetic cohort, one recorded seed per case."""
