"""Tests of training share their machine: one thread each, which also makes sums the same everywhere."""

import torch

torch.set_num_threads(1)
