// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's messages. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

/* What the kernel has said since the last time: "<level> text" lines. */
void kmsg_take(struct buffer *b)
{
	static char record[8192];
	ssize_t n;

	for (;;) {
		char *text, *end;
		char level[16];

		n = read(kmsg, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)
			continue;		/* overwritten before we came */
		if (n <= 0)
			return;
		record[n] = 0;
		text = strchr(record, ';');
		if (!text)
			continue;
		text++;
		end = strchr(text, '\n');	/* what follows are dictionary lines */
		n = snprintf(level, sizeof(level), "<%lu>", strtoul(record, NULL, 10) & 7);
		put(b, level, n);
		put(b, text, end ? (size_t)(end - text) : strlen(text));
		put(b, "\n", 1);
	}
}
