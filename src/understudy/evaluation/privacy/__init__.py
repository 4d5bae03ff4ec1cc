"""Privacy: evidence against named attacks, and what it does not cover; never a proof of anonymity.
"""
