"""Answers in, results out: what ``understudy reader analyze`` measures, and what it writes."""
