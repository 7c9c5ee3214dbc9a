"""`python -m creative4u VERB ...`: the front door without its script, as launchers call it."""

from creative4u.cli import main

if __name__ == "__main__":
    main()
