"""What the public headers promise in binary: sizes and offsets of structs, numbers of constants, prototypes. All of it is
recorded in record.txt; what is recorded may not move. New functions, constants, structs and fields at the end of a struct
may come: --update records them, and refuses what is not growth.

    record.py INCLUDE_FOLDER [--update]      compares, or records what is new
    record.py INCLUDE_FOLDER --print         what there is now

The record is of 64-bit machines (LP64), which all agree.
"""
import os
import re
import subprocess
import sys
import tempfile

RECORD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "record.txt")


def headers(include):
    folder = os.path.join(include, "ecrec")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            yield re.sub(r"/\*.*?\*/", " ", file.read(), flags=re.S)


def squeeze(text):
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r"\s*([*(),\[\]])\s*", r"\1", text)


def split(text, separator):
    """At separators outside of brackets."""
    depth, last = 0, 0
    for i, c in enumerate(text):
        depth += (c in "([") - (c in ")]")
        if c == separator and depth == 0:
            yield text[last:i].strip()
            last = i + 1
    if text[last:].strip():
        yield text[last:].strip()


def field_name(text):
    pointer = re.search(r"\(\s*\*\s*(\w+)\s*\)\s*\(", text)
    return pointer.group(1) if pointer else re.search(r"(\w+)\s*(\[[^\]]*\]\s*)*$", text).group(1)


def read(include):
    """Prototypes and typedefs as lines; structs as name -> [(field, declaration)]; names of constants."""
    lines, structs, constants = [], {}, []
    for text in headers(include):
        for declaration in re.findall(r"^ECREC_API\b([^;]*);", text, flags=re.M):
            lines.append("function " + squeeze(declaration))
        for body, name in re.findall(r"typedef struct \w+\s*\{(.*?)\}\s*(\w+)\s*;", text, flags=re.S):
            structs[name] = [(field_name(f), squeeze(f)) for f in split(body, ";")]
        for declaration in re.findall(r"typedef ([^;{]*\(\*\s*\w+\)[^;]*);", text):
            lines.append("typedef " + squeeze(declaration))
        for body in re.findall(r"\benum\s*\w*\s*\{(.*?)\}", text, flags=re.S):
            constants += [c.split("=")[0].strip() for c in split(body, ",")]
    return lines, structs, constants


def measure(include, structs, constants):
    """Numbers by a program that the compiler makes: what counts is what it thinks."""
    source = ['#include <stdio.h>', '#include "ecrec/ecrec.h"', "int main(void) {"]
    for name, fields in structs.items():
        source.append(f'printf("struct {name} size %zu\\n", sizeof({name}));')
        for field, declaration in fields:
            source.append(f'printf("field {name}.{field} at %zu size %zu: {declaration}\\n", offsetof({name}, {field}), '
                          f"sizeof((({name} *)0)->{field}));")
    source += [f'printf("constant {name} %lld\\n", (long long){name});' for name in constants]
    source.append("return 0; }")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "measure.c")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(source))
        program = os.path.join(folder, "measure")
        subprocess.run([os.environ.get("CC", "cc").split()[-1], "-std=c11", "-I", include, path, "-o", program], check=True)
        return subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()


def now(include):
    lines, structs, constants = read(include)
    return sorted(set(lines + measure(include, structs, constants)))


def size_of(line):
    return int(line.split()[-1])


def compare(recorded, current):
    """What moved, and what is new."""
    moved = []
    sizes = {line.split()[1]: size_of(line) for line in current if line.startswith("struct ")}
    present = set(current)
    for line in recorded:
        if line in present:
            continue
        if line.startswith("struct ") and sizes.get(line.split()[1], 0) > size_of(line):
            continue
        if line.startswith("field ") and ".reserved" in line.split()[1]:
            continue  # a reserved place may get a name
        moved.append(line)
    old_sizes = {line.split()[1]: size_of(line) for line in recorded if line.startswith("struct ")}
    reserved = {(line.split()[1].split(".")[0], line.split()[3]) for line in recorded if line.startswith("field ") and ".reserved" in line}
    fresh = [line for line in current if line not in set(recorded)]
    for line in fresh:
        if not line.startswith("field "):
            continue
        struct, offset = line.split()[1].split(".")[0], line.split()[3]
        if struct in old_sizes and int(offset) < old_sizes[struct] and (struct, offset) not in reserved:
            moved.append("new " + line + " (not at the end)")
    return moved, fresh


def main():
    include, mode = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    current = now(include)
    if mode == "--print":
        print("\n".join(current))
        return 0
    recorded = []
    if os.path.exists(RECORD):
        with open(RECORD, encoding="utf-8") as file:
            recorded = file.read().splitlines()
    moved, fresh = compare(recorded, current)
    for line in moved:
        print("moved or gone: " + line)
    if moved:
        print("what hosts were compiled against has changed: add beside it instead")
        return 1
    if mode == "--update":
        with open(RECORD, "w", encoding="utf-8") as file:
            file.write("\n".join(current) + "\n")
        print(f"{len(fresh)} lines recorded")
        return 0
    for line in fresh:
        print("not recorded yet (tests/abi/record.py include --update): " + line)
    print(f"{len(recorded)} recorded promises hold, {len(fresh)} are new")
    return 0 if recorded else 1


sys.exit(main())
