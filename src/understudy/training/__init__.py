"""Floor 2: what has nothing to do with any one method: the loop, the engine (device, precision, processes), averaged
weights, checkpoints without pickle, the log, jitter.
"""
