"""Copies in disguise: the nearest training case of each case, seen from several views, and what is too near."""
