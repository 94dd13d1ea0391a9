/* Bodies behind declarations that are there already, as when another header brought them in; then
 * once more, which must add nothing. */
#include "mtasts.h"
#define MTASTS_IMPLEMENTATION
#include "mtasts.h"
#include "mtasts.h"
