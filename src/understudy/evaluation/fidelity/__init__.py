"""Fidelity: how close the distribution of synthetic cases is to that of real cases. Cohorts in, results out.
"""
