// Everything that is compiled once for each instruction set; LANES is its number of floats in a vector.
#include "simd.inl"

#include "matrix.inl"

#include "loss.inl"

#include "single.inl"

#include "optimiser.inl"

#include "one.inl"

#include "random.inl"

#include "normals.inl"

#include "network.inl"
