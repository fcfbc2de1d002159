// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads the declarations of PTX: those of the kernel's parameters and of variables that take memory.
 * Instructions are the compiler's business; what this cannot read with certainty is refused.
 */
#include "cuda_ptx.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct token {
	const char *at;
	size_t length;
	bool glued;			/* directly behind a word: an instruction's suffix */
};

#define DECLARED_MAX	64

struct reader {
	const char *at, *end;
	struct token token;		/* length 0: the end */
	int braces;			/* open with the token */
	const char *why;
	struct token declared[DECLARED_MAX];	/* functions whose body has to follow */
	unsigned int nr_declared;
	struct cuda_ptx *ptx;
	const char *kernel;
	unsigned int kernels;		/* of that name */
};

/* ---- tokens ------------------------------------------------------------------------ */

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '$' || c == '%';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* False at an end that a comment does not have. */
static bool skip_blanks(struct reader *r)
{
	const char *close;

	for (;;) {
		while (r->at < r->end && is_blank(*r->at))
			r->at++;
		if (r->end - r->at < 2 || r->at[0] != '/')
			return true;
		if (r->at[1] == '/') {
			close = memchr(r->at, '\n', (size_t)(r->end - r->at));
			r->at = close ? close : r->end;
		} else if (r->at[1] == '*') {
			close = memmem(r->at + 2, (size_t)(r->end - r->at - 2), "*/", 2);
			if (!close)
				return false;
			r->at = close + 2;
		} else {
			return true;
		}
	}
}

static bool refuse(struct reader *r, const char *why)
{
	if (!r->why)
		r->why = why;
	r->at = r->end;
	r->token.length = 0;
	return false;
}

/* A name does, and a suffix behind a name; a number and a directive do not. */
static bool carries_suffix(const struct token *token)
{
	if (!token->length)
		return false;
	if (token->at[0] == '.')
		return token->glued;
	return is_word(token->at[0]) && (token->at[0] < '0' || token->at[0] > '9');
}

static bool is(const struct reader *r, const char *word)
{
	return r->token.length == strlen(word) && !memcmp(r->token.at, word, r->token.length);
}

/*
 * What the driver has a body for, whatever is declared before: a heap of the device that nobody counts,
 * output of this process, launches of kernels by kernels.
 */
static bool is_drivers(const struct reader *r)
{
	static const char *const names[] = { "malloc", "free", "vprintf", "__assertfail" };
	static const char *const beginnings[] = { "cudaLaunch", "cudaGetParameterBuffer" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (is(r, names[i]))
			return true;
	}
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
		size_t length = strlen(beginnings[i]);

		if (r->token.length >= length && !memcmp(r->token.at, beginnings[i], length))
			return true;
	}
	return false;
}

/* ".global", "ld", "12", "\"text\"" or one character of punctuation. False at the end. */
static bool next(struct reader *r)
{
	const char *before = r->at, *start;

	if (!skip_blanks(r))
		return refuse(r, "PTX: a comment without an end");
	r->token.glued = r->at == before && carries_suffix(&r->token);
	r->token.at = start = r->at;
	r->token.length = 0;
	if (r->at == r->end)
		return false;
	if (*start == '"') {
		r->at = memchr(start + 1, '"', (size_t)(r->end - start - 1));
		if (!r->at)
			return refuse(r, "PTX: a string without an end");
		r->at++;
	} else if (is_word(*start) || *start == '.') {
		do
			r->at++;
		while (r->at < r->end && is_word(*r->at));
	} else if (*start == '#') {
		return refuse(r, "PTX: directives of a preprocessor are not taken");
	} else {
		r->at++;
	}
	r->token.length = (size_t)(r->at - start);
	if (is_drivers(r))
		return refuse(r, "PTX: malloc, free, printf, assert and launches are not taken");
	r->braces += *start == '{' ? 1 : *start == '}' ? -1 : 0;
	return true;
}

/* The next one if it is @word; else it stays the next one. */
static bool take(struct reader *r, const char *word)
{
	const struct reader before = *r;

	if (next(r) && is(r, word))
		return true;
	*r = before;
	return false;
}

/* A decimal, octal or hexadecimal number, with U at the end or without. */
static bool number(struct reader *r, uint64_t *value)
{
	char digits[24], *end;

	if (!r->token.length || r->token.length >= sizeof(digits) || r->token.at[0] < '0' ||
	    r->token.at[0] > '9')
		return refuse(r, "PTX: a number is missing where a size belongs");
	memcpy(digits, r->token.at, r->token.length);
	digits[r->token.length] = '\0';
	*value = strtoull(digits, &end, 0);
	if (*end && strcmp(end, "U"))
		return refuse(r, "PTX: a size that is no number");
	return true;
}

/* ---- declarations ------------------------------------------------------------------ */

struct declaration {
	uint64_t align;			/* 0: that of the type */
	uint64_t type_bytes;
	uint64_t bytes;
};

/* Bytes of ".f32" and its like; 0 for no type of a fixed size. */
static uint64_t type_bytes(const struct token *token)
{
	static const struct {
		const char *digits;
		uint64_t bytes;
	} widths[] = { { "8", 1 }, { "16", 2 }, { "32", 4 }, { "64", 8 }, { "128", 16 } };

	if (token->length < 3 || token->at[0] != '.' || !strchr("bufs", token->at[1]))
		return 0;
	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		if (token->length - 2 == strlen(widths[i].digits) &&
		    !memcmp(token->at + 2, widths[i].digits, token->length - 2))
			return widths[i].bytes;
	}
	return 0;
}

/* ".align N", ".v2", ".ptr .global" and the type, up to the name, which is then the token. */
static bool read_type(struct reader *r, struct declaration *d)
{
	uint64_t vector = 1, bytes;
	bool pointed = false;

	while (r->token.length && r->token.at[0] == '.') {
		bytes = type_bytes(&r->token);
		if (is(r, ".align")) {
			uint64_t align;

			next(r);
			if (!number(r, &align))
				return false;
			if (!align || align > 256 || align & (align - 1))
				return refuse(r, "PTX: an alignment that is none");
			/* Behind .ptr it is that of what the pointer points to. */
			if (!pointed)
				d->align = align;
		} else if (bytes && !d->type_bytes) {
			d->type_bytes = bytes;
		} else if (is(r, ".v2") || is(r, ".v4")) {
			vector = (uint64_t)(r->token.at[2] - '0');
		} else if (is(r, ".ptr")) {
			pointed = true;
		} else if (!pointed || !(is(r, ".global") || is(r, ".shared") || is(r, ".const") ||
					 is(r, ".local"))) {
			return refuse(r, "PTX: a declaration of an unknown type");
		}
		next(r);
	}
	d->type_bytes *= vector;
	d->bytes = d->type_bytes;
	if (!d->bytes || !r->token.length || !is_word(r->token.at[0]))
		return refuse(r, "PTX: a declaration without a type or a name");
	next(r);
	return !r->why;
}

/* "[4][16]". */
static bool read_dimensions(struct reader *r, struct declaration *d)
{
	uint64_t count;

	while (is(r, "[")) {
		next(r);
		if (!number(r, &count))
			return false;
		next(r);
		if (!count || count > UINT32_MAX || d->bytes > UINT32_MAX || !is(r, "]"))
			return refuse(r, "PTX: an array of a size that is none");
		d->bytes *= count;
		next(r);
	}
	return true;
}

static bool read_param(struct reader *r)
{
	struct cuda_ptx *ptx = r->ptx;
	struct cuda_ptx_param *param = &ptx->params[ptx->nr_params];
	struct declaration d = { 0 };
	uint64_t offset;

	if (!is(r, ".param"))
		return refuse(r, "PTX: a list of parameters that cannot be read");
	next(r);
	if (!read_type(r, &d) || !read_dimensions(r, &d))
		return false;
	if (ptx->nr_params == CUDA_PTX_PARAMS_MAX)
		return refuse(r, "PTX: the kernel has more than 64 parameters");
	if (d.align < d.type_bytes)
		d.align = d.type_bytes;
	offset = (ptx->param_bytes + d.align - 1) & ~(d.align - 1);
	if (offset + d.bytes > CUDA_PTX_PARAM_BYTES_MAX)
		return refuse(r, "PTX: the kernel's parameters take more than 4096 bytes");
	*param = (struct cuda_ptx_param){ (uint32_t)offset, (uint32_t)d.bytes };
	ptx->param_bytes = (uint32_t)(offset + d.bytes);
	ptx->nr_params++;
	return true;
}

/* "( … )" behind the kernel's name. */
static bool read_params(struct reader *r)
{
	if (!take(r, "(") || take(r, ")"))
		return !r->why;
	for (;;) {
		next(r);
		if (!read_param(r))
			return false;
		if (is(r, ")"))
			return true;
		if (!is(r, ","))
			return refuse(r, "PTX: a list of parameters that cannot be read");
	}
}

/* Up to the closing one of the parenthesis that is the token. */
static bool skip_parentheses(struct reader *r)
{
	int open = 1;

	while (open && next(r) && !is(r, "{") && !is(r, ";"))
		open += is(r, "(") ? 1 : is(r, ")") ? -1 : 0;
	return open ? refuse(r, "PTX: a list of parameters that cannot be read") : true;
}

/* The rest of a function's head: true at its body, false at the ";" of one that is declared alone. */
static bool has_body(struct reader *r)
{
	while (next(r)) {
		if (is(r, "{"))
			return true;
		if (is(r, ";"))
			return false;
		if (is(r, "(") && !skip_parentheses(r))
			return false;
		if (is(r, ".entry") || is(r, ".func") || is(r, ".global") || is(r, ".const"))
			break;
	}
	return refuse(r, "PTX: a function without a body");
}

/* ".entry NAME ( … )", only the parameters of the kernel that is asked for being read. */
static bool read_entry(struct reader *r)
{
	if (!next(r))
		return refuse(r, "PTX: a kernel without a name");
	if (is(r, r->kernel)) {
		if (r->kernels++)
			return refuse(r, "PTX: the kernel is there twice");
		if (!read_params(r))
			return false;
	}
	return has_body(r) || refuse(r, "PTX: a kernel without a body");
}

/* ".func ( … ) NAME ( … )": it may be declared before it is there, as compilers do. */
static bool read_function(struct reader *r)
{
	struct token name;
	bool body;

	next(r);
	if (is(r, "(") && skip_parentheses(r))
		next(r);
	if (!r->token.length || !is_word(r->token.at[0]))
		return refuse(r, "PTX: a function without a name");
	name = r->token;
	body = has_body(r);
	if (r->why)
		return false;
	for (unsigned int i = 0; body && i < r->nr_declared; i++) {
		if (r->declared[i].length == name.length &&
		    !memcmp(r->declared[i].at, name.at, name.length))
			r->declared[i--] = r->declared[--r->nr_declared];
	}
	if (body)
		return true;
	if (r->nr_declared == DECLARED_MAX)
		return refuse(r, "PTX: more than 64 functions without a body");
	r->declared[r->nr_declared++] = name;
	return true;
}

/* " = { 1, 2 };": the values are of no interest, a second name is. */
static bool skip_values(struct reader *r)
{
	const int outside = r->braces - is(r, "{");

	while (r->token.length && (r->braces > outside || !is(r, ";"))) {
		if (is(r, ";"))
			return refuse(r, "PTX: a variable whose values cannot be read");
		if (r->braces <= outside && (is(r, ",") || is(r, "<")))
			return refuse(r, "PTX: two variables in one declaration");
		next(r);
	}
	return r->token.length || refuse(r, "PTX: a variable without an end");
}

/* ".global .align 4 .b8 table[1024] = …" */
static bool read_variable(struct reader *r)
{
	struct cuda_ptx *ptx = r->ptx;
	struct declaration d = { 0 };

	next(r);
	if (!read_type(r, &d) || !read_dimensions(r, &d))
		return false;
	if (d.bytes > CUDA_PTX_STATIC_BYTES_MAX - ptx->static_bytes)
		return refuse(r, "PTX: variables take more than 16 MiB");
	ptx->static_bytes += d.bytes;
	return skip_values(r);
}

/*
 * ".extern .shared" is how dynamic shared memory is named. Functions from outside are the driver's:
 * printf, malloc and launches from the device.
 */
static bool read_extern(struct reader *r)
{
	next(r);
	return is(r, ".shared") ? true : refuse(r, "PTX: only shared memory may be .extern");
}

/* ---- the text ---------------------------------------------------------------------- */

static const char *text_refusal(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (!is_blank(text[i]) && (text[i] < ' ' || text[i] > '~'))
			return "PTX: a byte that is no text";
		if (text[i] == '\\')
			return "PTX: a backslash";
		if (text[i] == '\r' && (i + 1 == bytes || text[i + 1] != '\n'))
			return "PTX: a carriage return without a line feed";
	}
	return NULL;
}

static void read_directive(struct reader *r)
{
	if (is(r, ".entry"))
		read_entry(r);
	else if (is(r, ".func"))
		read_function(r);
	else if (is(r, ".global") || is(r, ".const"))
		read_variable(r);
	else if (is(r, ".extern"))
		read_extern(r);
	else if (is(r, ".managed") || is(r, ".common") || is(r, ".alias"))
		refuse(r, "PTX: .managed, .common and .alias are not taken");
}

const char *cuda_ptx_read(const char *text, size_t bytes, const char *kernel,
			  struct cuda_ptx *ptx)
{
	struct reader r = { .at = text, .end = text + bytes, .ptx = ptx, .kernel = kernel };
	int parentheses = 0;
	const char *why = text_refusal(text, bytes);

	memset(ptx, 0, sizeof(*ptx));
	if (why)
		return why;
	if (!next(&r) || !is(&r, ".version"))
		return r.why ? r.why : "PTX: it does not begin with .version";
	while (next(&r)) {
		if (is(&r, "("))
			parentheses++;
		else if (is(&r, ")"))
			parentheses--;
		/*
		 * In parentheses they say where a parameter points to. Suffixes are those of
		 * instructions, and outside of bodies there are none.
		 */
		else if (r.token.at[0] == '.' && parentheses <= 0 &&
			 (!r.token.glued || r.braces <= 0))
			read_directive(&r);
		else if (is(&r, ".managed"))
			refuse(&r, "PTX: .managed, .common and .alias are not taken");
	}
	if (!r.why && r.nr_declared)
		return "PTX: a function without a body";
	if (!r.why && !r.kernels)
		return "PTX: there is no kernel of that name";
	return r.why;
}
