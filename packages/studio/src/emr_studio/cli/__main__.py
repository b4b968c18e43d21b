"""`python -m emr_studio.cli`: the same as the command `emr-studio`."""

from emr_studio.cli import main

if __name__ == "__main__":
    main()
