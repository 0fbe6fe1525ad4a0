"""Data sets that are not nbtune's own, and plain fastai and PyTorch scripts for them."""
