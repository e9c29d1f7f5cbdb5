"""The lines of stdin, nearest to a query first.

    nearest.py MODEL.ecrec QUERY <TEXTS
"""
import sys

import numpy as np

import ecrec


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__.strip())
    texts = sys.stdin.read().splitlines()
    try:
        with ecrec.Context(threads=2) as context, ecrec.Model.load(context, sys.argv[1]) as model:
            vectors, query = model.encode(texts), model.encode([sys.argv[2]])[0]
    except ecrec.Error as error:
        raise SystemExit(f"nearest.py: {error}")
    cosines = vectors @ query  # unit length: the dot product is the cosine
    for i in np.argsort(-cosines, kind="stable"):
        print(f"{cosines[i]:.3f}  {texts[i]}")


if __name__ == "__main__":
    main()
