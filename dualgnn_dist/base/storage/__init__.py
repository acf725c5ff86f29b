"""Where things lie, on this node and behind URLs, and who may write there.

names    what a run, a sweep or a study may be called, and which paths stay inside their folder
files    where relative paths and copies lie, locks of a node, files written whole
removal  what this program made is deleted by name, and nothing else
locks    one writer at a time, and who that is
remote   folders behind URLs
lease    one writer at a time behind a URL
space    room on the disk: reserved, and a sentence where there is none
"""
