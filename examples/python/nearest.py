"""The lines of stdin, nearest to a query first.

    nearest.py MODEL.ecrec QUERY <TEXTS
"""
import sys

import ecrec


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__.strip())
    texts = sys.stdin.read().splitlines()
    try:
        with ecrec.Context(threads=2) as context, ecrec.Model.load(context, sys.argv[1]) as model:
            if not texts:
                return
            vectors, query = model.encode(texts), model.encode([sys.argv[2]])
            with ecrec.Index(context, vectors, cosine=True) as index:
                indices, cosines = index.search(query, k=len(texts))
    except ecrec.Error as error:
        raise SystemExit(f"nearest.py: {error}")
    for i, cosine in zip(indices[0], cosines[0]):
        print(f"{cosine:.3f}  {texts[i]}")


if __name__ == "__main__":
    main()
