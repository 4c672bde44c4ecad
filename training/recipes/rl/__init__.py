"""Reinforcement learning from rewards: what PPO, RLOO and best-of-n share."""
