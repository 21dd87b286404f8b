"""The class partition: which branch answers for which classes (DynK, Algorithm 2)."""

import numpy as np

from hydrafy.errors import OptionError


def partition(features: np.ndarray, branches: int, *, seed: int = 0) -> tuple[tuple[int, ...], ...]:
    """Clusters classes by k-means, then deals them out evenly.

    Every cluster centre in turn takes the nearest class that is still free, until none is left,
    so group sizes differ by at most one. (DynK, Section 3.1; HydraNets, Section 3.1.)

    Args:
        features: [classes, features], one row for each class: its mean feature, or its row of the
            final classifier where there is no data.
        branches: the number of groups.
        seed: of k-means' starting points.

    Raises:
        OptionError: fewer classes than branches.
    """
    classes = len(features)
    if branches > classes:
        raise OptionError(
            f"the network has {classes} classes, too few for {branches} branches: "
            f"set branches={classes} or less"
        )
    from sklearn.cluster import KMeans  # loads slowly
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # so small a problem gains nothing from threads, and may lose much
        means = KMeans(branches, n_init="auto", random_state=seed).fit(features.astype(np.float64))
        distance = means.transform(features.astype(np.float64))  # [classes, branches]
    groups: list[list[int]] = [[] for _ in range(branches)]
    for turn in range(classes):
        branch = turn % branches
        nearest = int(distance[:, branch].argmin())
        distance[nearest] = np.inf
        groups[branch].append(nearest)
    return tuple(tuple(sorted(group)) for group in groups)
