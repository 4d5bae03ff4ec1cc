"""Fidelity: how near the distribution of synthetic cases lies to that of real cases."""
