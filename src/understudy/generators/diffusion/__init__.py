"""Noise to image and label map by denoising: one network, its noise and its samplers."""
