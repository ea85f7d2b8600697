"""A run's configuration comes from YAML and the command line, and a wrong value stops before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.config import ConfigError, RewardConfig, load_config

CONFIGS = Path(__file__).parents[2] / "trainer" / "configs"


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "reward.yaml"
    path.write_text("epochs: 7\nbottom: [64, 32]\nlearning_rate: 1e-4\n")
    config = load_config(RewardConfig, path, ["epochs=3", "encoder=Qwen/Qwen3-Embedding-0.6B"])
    assert (config.epochs, config.bottom, config.learning_rate) == (3, (64, 32), 1e-4)
    assert config.encoder == "Qwen/Qwen3-Embedding-0.6B" and config.members == RewardConfig().members


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("epoch=3", "epoch: no such setting; there are encoder"),
        ("epochs", "is not name=value"),
        ("epochs=0", "epochs 0 must be at least 1"),
        ("epochs=2.5", "epochs: 2.5 is not a whole number"),
        ("epochs=true", "epochs: True is not a whole number"),
        ("learning_rate=fast", "learning_rate: 'fast' is not a number"),
        ("learning_rate=0", "learning_rate 0 must be greater than 0"),
        ("learning_rate=.nan", "learning_rate nan is not a finite number"),
        ("weight_decay=.inf", "weight_decay inf is not a finite number"),
        ("surface=1", "surface: 1 is not true or false"),
        ("dropout=1", "dropout 1 must be less than 1"),
        ("validation=0.8", "leave more than 0.1 for training"),
        ("bottom=[]", "bottom: .*at least 1 item"),
        ("bottom=wide", "bottom: 'wide' is not a list, such as"),
        ("half=both", "half 'both' is unknown: use all, policy or held_out_model"),
    ],
)
def test_a_wrong_value_is_named_with_its_rule(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(RewardConfig, None, [override])


@pytest.mark.parametrize("content", ["- 1\n- 2\n", "a: [", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "reward.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"reward\.yaml"):
        load_config(RewardConfig, path)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("reward_*.yaml")), ids=lambda path: path.stem)
def test_every_config_that_ships_is_valid(path: Path) -> None:
    assert load_config(RewardConfig, path).encoder
