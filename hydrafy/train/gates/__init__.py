"""The gates: how each op that decides what runs behaves in torch, one file each."""
