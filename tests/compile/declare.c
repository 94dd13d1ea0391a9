/* The declarations first, alone and twice: must compile, and leave nothing in the object. */
#include "mtasts.h"
#include "mtasts.h"
