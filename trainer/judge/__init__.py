"""The packaged judge: labels and corruptions in, a calibrated pair of heads out. It serves from `trainer.scoring`."""
