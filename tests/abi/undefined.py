"""Everything that the shared library takes from elsewhere is on a list: no malloc, printf, abort, getenv, setlocale, time ...

    undefined.py LIBRARY LIST
"""
import subprocess
import sys


def main():
    library, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        allowed = {line.split("#")[0].strip() for line in file} - {""}
    lines = subprocess.run(["nm", "-D", "--undefined-only", library], check=True, capture_output=True, text=True).stdout.splitlines()
    used = {line.split()[-1].split("@")[0] for line in lines}
    wrong = sorted(used - allowed)
    for name in wrong:
        print(f"{name}: taken from another library and not in {path}")
    if not wrong:
        print(f"{len(used)} symbols from elsewhere, all on the list")
    sys.exit(1 if wrong or not used else 0)


main()
