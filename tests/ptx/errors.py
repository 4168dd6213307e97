"""What the interpreter can find wrong, each under its own name."""


class PtxError(Exception):
    """A fault of the program or of the launch."""


class UnsupportedInstruction(PtxError):
    """An opcode, modifier, directive or operand that the interpreter does not know; it never guesses."""


class BadLaunch(PtxError):
    """Arguments or sizes that do not fit the kernel."""


class OutOfBounds(PtxError):
    """An access outside every array or variable."""


class Misaligned(PtxError):
    """An address that is not a multiple of the size of the access."""


class ReadOnly(PtxError):
    """A store to constant memory or through the read-only path to data that the kernel writes."""


class UninitialisedShared(PtxError):
    """A load of shared memory that no thread of the block has written."""


class UninitialisedLocal(PtxError):
    """A load of local memory that the thread has not written."""


class UninitialisedGlobal(PtxError):
    """A load of an element that the caller declared undefined and that nothing has written."""


class UninitialisedRegister(PtxError):
    """A use of a register that the thread has not written."""


class SharedRace(PtxError):
    """Conflicting accesses of two threads to shared memory with no barrier between them."""


class GlobalRace(PtxError):
    """Conflicting accesses of two threads to global memory with no barrier, or fence and atomic, between them."""


class DivergentBarrier(PtxError):
    """Threads of a block that wait at different barriers, or at one that the others never reach."""


class ExitedAtBarrier(PtxError):
    """A barrier that some threads of the block can no longer reach because they have returned."""


class WrongWarpMask(PtxError):
    """A member mask that does not name the lanes that come to the instruction."""


class InactiveLane(PtxError):
    """A shuffle that reads a lane that does not take part."""


class Stuck(PtxError):
    """No thread goes on within the step limit: a lock or a loop without end."""


class Trap(PtxError):
    """The program itself stopped with a trap or a failed call."""
