"""How a node chooses among its neighbours, one hop at a time.

independent  every node alone
shared       nodes with neighbours in common choose the same ones
pyg_lib      pyg-lib's sampler behind the same contract
"""
