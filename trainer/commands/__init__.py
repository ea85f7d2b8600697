"""What each command of `trainer.cli` does. Every function checks its settings before it loads anything heavy."""
