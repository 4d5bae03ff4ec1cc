"""Floor 5: results folders become one self-contained page, in a PUBLIC and an INTERNAL edition.
"""
