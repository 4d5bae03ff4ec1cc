"""Floor 5: the blinded reader study, offline: can a reader tell synthetic images from real ones?

``create`` makes a study folder, ``serve`` shows it to readers in a browser, ``analyze`` turns answers into results.
"""
