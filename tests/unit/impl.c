/* The one translation unit of the tests that holds the bodies. */
#define MTASTS_IMPLEMENTATION
#include "mtasts.h"
