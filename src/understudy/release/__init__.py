"""Floor 6: what may leave the institution: synthetic cohorts are screened, judged by a policy and written as bundles."""
