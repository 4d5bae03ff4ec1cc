"""Floor 3: the downstream tasks a synthetic cohort must serve; they know arrays, no generator and no metric."""
