"""What ``check`` looks for, one question a file; data/check.py asks them all."""
