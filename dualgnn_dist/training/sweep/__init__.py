"""A sweep as data: nothing here starts a trial.

space      what is tried
load       a sweep from its file and overrides
study_url  no password in the URL of a study
folder     what was asked, what every trial came to
"""
