"""One door under atheris: the first argument names it, the others are libFuzzer's."""

import sys

import atheris

with atheris.instrument_imports(include=["pinfold"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]])
    atheris.Fuzz()
