"""A process that ends by a signal, or never: ``python -m tests.store.dying NUMBER``."""

import os
import sys
import time

if __name__ == "__main__":
    if int(sys.argv[1]):
        os.kill(os.getpid(), int(sys.argv[1]))
    time.sleep(60)
