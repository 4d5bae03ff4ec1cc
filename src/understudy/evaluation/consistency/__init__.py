"""Consistency: does a synthetic image show what its label map says, as a segmenter that learned real cases reads it?"""
