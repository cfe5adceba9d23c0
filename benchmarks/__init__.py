"""What `make bench` runs: our engine and its peers side by side, on one machine, at the same work.

``problems`` says what is trained, ``contenders`` who trains it, ``workers`` where, ``race`` in which turn, ``limits``
what the machine could do at most. ``figures`` compares with the figures asked for, ``page`` writes the documentation.
"""
