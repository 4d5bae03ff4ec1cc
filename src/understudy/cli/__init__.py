"""Floor 8: the command line: one verb, one file, one stage, one folder out.

Files here, and only here, may import late: a verb that trains needs seconds to import what ``--help`` does not.
"""
