"""Floor 6: what may leave the institution: synthetic cohorts, screened, held against a policy, bundled."""
