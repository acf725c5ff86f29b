"""A sweep as data: nothing here starts a trial.

space   what is tried
folder  what was asked, what every trial came to
"""
