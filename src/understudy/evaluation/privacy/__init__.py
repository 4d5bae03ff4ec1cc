"""Privacy: how near synthetic cases lie to the training cases, against subjects whom the generator did not see."""
