"""understudy: synthetic annotated medical images, with the evidence that they are useful, realistic and private.

Data flows one way: real data -> cohort -> generator -> synthetic cohort -> evaluation -> report. Every arrow is a
folder on disk that a person can open; the packages below are the stages, in the order of the README.
"""

__version__ = "0.1.0"
