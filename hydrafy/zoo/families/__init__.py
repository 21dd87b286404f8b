"""The families of the zoo, one file each: designs, and the torch modules that they build."""
