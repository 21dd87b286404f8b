"""What runs for whom: predicates, what follows from them, and which nodes they govern."""
