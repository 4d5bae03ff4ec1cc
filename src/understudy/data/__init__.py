"""data: the real world -> Cohort. The only package that reads source files; floor 1, imports core only."""
