"""Floor 8: what ``import understudy as us`` offers, and what the verbs of the command line call: one way for both.

Every function takes paths and plain values, makes one folder, and may be called again: a finished folder is kept. Paths
are looked at first, and what a stage needs is imported late, so that a wrong path is told before torch is there.
"""
