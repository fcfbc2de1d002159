// SPDX-License-Identifier: GPL-2.0-only
/* infinitop: the full screen. */
#include "top_screen.h"

#include <curses.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static SCREEN *screen;

bool top_screen_open(void)
{
	setlocale(LC_ALL, "");
	/* Descriptors of our own: stdin may be closed, and then there are no keys. */
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return false;
	cbreak();
	noecho();
	curs_set(0);
	nodelay(stdscr, TRUE);
	return true;
}

void top_screen_close(void)
{
	endwin();
	delscreen(screen);
}

/* The batch table, cut to the screen. */
void top_screen_draw(const struct top *top)
{
	char *text = NULL, *line, *rest;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	int y = 2;

	if (!file)
		return;
	top_print(top, file);
	fclose(file);
	erase();
	mvprintw(0, 0, "infinitop  by %s, sorted by %s, every %.3g s, %.0f s since the start",
		 top_by_names[top->by], top_sort_names[top->sort], top->interval_ns / 1e9,
		 (top->time_ns - top->began_ns) / 1e9);
	rest = text;
	while ((line = strsep(&rest, "\n")) && y < LINES - 1) {
		if (y == 2)
			attron(A_REVERSE);
		mvaddnstr(y, 0, line, -1);
		if (y == 2)
			attroff(A_REVERSE);
		y++;
	}
	mvaddstr(LINES - 1, 0, "q quit  g group by  s sort by");
	refresh();
	free(text);
}

enum top_key_pressed top_screen_key(void)
{
	switch (getch()) {
	case 'q':
		return TOP_KEY_QUIT;
	case 'g':
		return TOP_KEY_GROUP;
	case 's':
		return TOP_KEY_SORT;
	case KEY_RESIZE:
		return TOP_KEY_DRAW;
	default:
		return TOP_KEY_NONE;
	}
}
