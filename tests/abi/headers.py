"""Each public header compiles alone, twice in one file, and as C++, without a warning, on every compiler that is there.

    headers.py INCLUDE_FOLDER
"""
import os
import shutil
import subprocess
import sys
import tempfile

C = ["-std=c11", "-pedantic-errors", "-Wall", "-Wextra", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wundef", "-Wpadded", "-Werror"]
CXX = ["-pedantic-errors", "-Wall", "-Wextra", "-Wundef", "-Werror"]
LANGUAGES = [("gcc", "c", C), ("clang", "c", C), ("g++", "c++", ["-std=c++11"] + CXX), ("g++", "c++", ["-std=c++17"] + CXX),
             ("clang++", "c++", ["-std=c++11"] + CXX)]


def main():
    include = sys.argv[1]
    headers = sorted(os.listdir(os.path.join(include, "ecrec")))
    wrong = tried = 0
    with tempfile.TemporaryDirectory() as folder:
        for compiler, language, flags in LANGUAGES:
            if shutil.which(compiler) is None:
                continue
            for header in headers:
                source = os.path.join(folder, "alone.c")
                with open(source, "w", encoding="utf-8") as file:
                    file.write(f'#include "ecrec/{header}"\n#include "ecrec/{header}"\n')
                    if header == "ecrec.h":  # the initialisers too
                        file.write("ecrec_error e = ECREC_ERROR_INIT; ecrec_context_options o = ECREC_CONTEXT_OPTIONS_INIT;\n")
                result = subprocess.run([compiler, "-x", language, *flags, "-I", include, "-fsyntax-only", source], capture_output=True, text=True)
                tried += 1
                if result.returncode != 0:
                    wrong += 1
                    print(f"{header} with {compiler} {' '.join(flags)}:\n{result.stderr}")
    print(f"{tried} compilations of {len(headers)} headers, {wrong} failed")
    sys.exit(1 if wrong or not tried else 0)


main()
