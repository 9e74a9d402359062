"""``python -m p2pchat`` is the program ``p2pchat``."""

from p2pchat.tap.program import main

if __name__ == "__main__":
    main()
