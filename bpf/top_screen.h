/* SPDX-License-Identifier: GPL-2.0-only */
/* infinitop: the full screen. */
#ifndef INFINI_TOP_SCREEN_H
#define INFINI_TOP_SCREEN_H

#include <stdbool.h>

#include "top.h"

enum top_key_pressed { TOP_KEY_NONE, TOP_KEY_QUIT, TOP_KEY_GROUP, TOP_KEY_SORT, TOP_KEY_DRAW };

/* False if the terminal cannot be used. */
bool top_screen_open(void);
void top_screen_close(void);
void top_screen_draw(const struct top *top);
/* What was pressed since the last look; never waits. */
enum top_key_pressed top_screen_key(void);

#endif /* INFINI_TOP_SCREEN_H */
