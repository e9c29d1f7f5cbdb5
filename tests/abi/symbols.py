"""The shared library exports exactly the symbols of its map, and the public headers declare exactly those.

    symbols.py LIBRARY MAP INCLUDE_FOLDER
"""
import os
import re
import subprocess
import sys


def exported(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout.splitlines()
    # "A" are the version nodes themselves
    return {parts[2].split("@")[0] for parts in map(str.split, lines) if len(parts) == 3 and parts[1] != "A"}


def mapped(path):
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    if re.search(r"global:[^}]*\*", text.split("local:")[0]):
        sys.exit(f"{path}: a pattern under global: exports what nobody listed")
    names = re.findall(r"^\s*(ecrec_\w+)\s*;", text, flags=re.M)
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        sys.exit(f"{path}: listed twice: {', '.join(sorted(twice))}")
    return set(names)


def declared(include):
    names = set()
    folder = os.path.join(include, "ecrec")
    for header in os.listdir(folder):
        with open(os.path.join(folder, header), encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
        for declaration in re.findall(r"^ECREC_API\b([^;]*);", text, flags=re.M):
            names.add(re.search(r"\b(ecrec_\w+)\s*\(", declaration).group(1))
    return names


def main():
    library, map_file, include = sys.argv[1:]
    found, listed, public = exported(library), mapped(map_file), declared(include)
    wrong = [f"{name}: exported but not in {map_file}" for name in sorted(found - listed)]
    wrong += [f"{name}: in {map_file} but not exported" for name in sorted(listed - found)]
    wrong += [f"{name}: in {map_file} but in no public header" for name in sorted(listed - public)]
    wrong += [f"{name}: in a public header but not in {map_file}" for name in sorted(public - listed)]
    print("\n".join(wrong) or f"{len(found)} symbols: library, map and headers agree")
    sys.exit(1 if wrong or not found else 0)


main()
