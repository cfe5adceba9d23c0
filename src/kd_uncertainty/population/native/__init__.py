"""The compiled kernel: C++ that trains many small networks at once; see ``kernel/train.cpp``."""
