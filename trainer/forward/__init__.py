"""One forward pass over texts that share prompts: the row's layout (`layout`), its attention (`attention`), and log π
of every sampled token (`logprobs`). GRPO, SFT and the drift check of rollouts use it.
"""
