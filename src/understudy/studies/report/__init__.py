"""The joined report of a study: finished stages -> one self-contained HTML page, figures, tables and pooled numbers."""
