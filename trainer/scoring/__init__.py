"""What the service and the trainer both score texts with: the packaged judge and its features. Light: numpy only."""
