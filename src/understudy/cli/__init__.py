"""Floor 9: the command line: one verb, one file, one stage, one folder out.

Files here and in api/, and only there, may import late: what trains takes seconds to import, and ``--help`` needs none.
"""
