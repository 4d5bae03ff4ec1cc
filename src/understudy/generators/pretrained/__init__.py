"""Official StyleGAN weights read, without running anything in their file, into a run to sample from."""
