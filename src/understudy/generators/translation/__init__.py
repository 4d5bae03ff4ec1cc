"""Label map to images or back: pix2pix, SPADE and CycleGAN, and what these papers share."""
