"""Fidelity against utility over many synthetic cohorts: does a fidelity metric show which of them are useful?"""
