"""What settings there are, and what a setting that is none was meant to be.

names   every setting by its whole name, and the nearest to another
checks  settings that do not go together, or stand in another section than theirs
"""
