"""What every room stands on. It knows no other room.

errors        the one error that a user is meant to read; the nearest name to a misspelt one
optional      libraries that a part of the program needs, imported at first use
documents     YAML that somebody wrote, as plain values
config        frozen dataclasses from untrusted mappings, and back
command_line  what the verbs share
batch         what the steps of a mini-batch hand to one another
sparse        sparse rows with their transpose
table_part    what a table row consists of, and its first values
kernels       how kernels are compiled, and where their machine code is kept
csr           a graph's rows in memory-mapped shards, read by kernels
raw_reads     the reads of memory by address that those kernels use
randomness    random bits as a pure function of where they are used
liveness      whether this process lives, and how it is ended
world         who am I: rank, size, device; the collectives
process       memory, threads and numbers of this process
storage       where things lie, on this node and behind URLs, and who may write there
screen        lines of progress, tables of text
"""
