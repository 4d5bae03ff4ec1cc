"""Fidelity against utility over many synthetic cohorts: does a fidelity metric tell which of them are useful?"""
