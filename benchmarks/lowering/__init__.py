"""Lowered networks against static ones that do the same work: the figures of docs/performance.md.

Networks are of the zoo with random weights, images are noise, gates look at their input, and their
scores are spread so that a threshold opens as many as wanted, differently for each image. One
thread; each contender takes each sample in random turn. An oracle is the static network of exactly
the work that is done for one image, its gates included, lowered as the dynamic network is.
"""
