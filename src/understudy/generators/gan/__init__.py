"""Noise to image and label map by adversarial training: ProGAN and StyleGAN 1 to 3, and what these papers share."""
