"""`python -m app.cli` is `relate`, also where the console script is not on the path."""

from app.cli import main

main()
