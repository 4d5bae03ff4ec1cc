"""Latent class optimisation: cases of wanted classes from a generator that learned none."""
