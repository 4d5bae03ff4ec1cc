"""Studies: one YAML -> stages, each one verb with its folders -> one report. Nothing here computes; verbs do."""
