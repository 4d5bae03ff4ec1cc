"""Noise to label map."""
