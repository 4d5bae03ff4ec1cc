"""Floor 6: what may leave the house: cases that evidence speaks against are removed, and each removal is logged."""
