"""Floor 3: the downstream tasks that a synthetic cohort must serve, and the networks that learn them.
"""
