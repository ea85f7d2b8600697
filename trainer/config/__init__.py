"""Every run's configuration: one frozen model per kind of run, read from YAML, changed from the command line, and
refused before anything heavy is loaded. Light: no torch.
"""

from trainer.config.ablation import AblateConfig
from trainer.config.base import ConfigError, Settings
from trainer.config.gate import GateConfig, GateLine, GateLines
from trainer.config.grpo import Aggregation, DualSettings, GrpoConfig, Limits
from trainer.config.judge import JudgeConfig
from trainer.config.loading import from_mapping, load_config
from trainer.config.policies import DpoConfig, LoraSettings, SftConfig
from trainer.config.reward_model import RewardConfig
from trainer.config.terms import Terms, TermSettings

__all__ = [
    "AblateConfig",
    "Aggregation",
    "ConfigError",
    "DpoConfig",
    "DualSettings",
    "GateConfig",
    "GateLine",
    "GateLines",
    "GrpoConfig",
    "JudgeConfig",
    "Limits",
    "LoraSettings",
    "RewardConfig",
    "Settings",
    "SftConfig",
    "TermSettings",
    "Terms",
    "from_mapping",
    "load_config",
]
