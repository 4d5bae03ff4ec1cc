"""Copies, transformed or not: matchers find the nearest training case, a threshold says what is too near."""
