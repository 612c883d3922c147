#include "model/aten.h"
