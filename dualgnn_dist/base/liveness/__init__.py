"""Whether this process lives, and how it is ended.

heartbeat  the sign of life of this process, and for how long there was none
signals    SIGTERM and Ctrl-C, heard whatever the main thread does
"""
