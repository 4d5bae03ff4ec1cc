"""Differential privacy with the patient as the unit: how a generator may learn from subjects that stay deniable.

settings.py (what may be asked), accountant.py (epsilon), secret.py (the randomness of the noise), subjects.py (who is
drawn), gradient.py (the mechanism), training.py (what the loop sees), refusals.py (what would break it).
"""
