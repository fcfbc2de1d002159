// SPDX-License-Identifier: GPL-2.0-or-later
/* Runs PTX, as far as small kernels need it. Written from the PTX ISA's public description. */
#include "fake_ptx.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OPERANDS_MAX	4
#define NAMES_MAX	512
#define CODE_MAX	4096

enum type { NONE, U8, U16, U32, U64, S32, S64, F32, B32, B64, PRED };
enum space { NOWHERE, PARAM, GLOBAL, SHARED };
enum op { LD, ST, MOV, CVTA, ADD, SUB, MUL, MAD, FMA, MULWIDE, MADWIDE, SHL, SHR, AND, OR, XOR, CVT,
	  SETP, BRA, BAR, RET, TRAP };
enum compare { LT, LE, GT, GE, EQ, NE };
enum kind { REGISTER, IMMEDIATE, SPECIAL, PARAMETER, MEMORY };
enum special { TID, NTID, CTAID, NCTAID, TIMER };

struct operand {
	enum kind kind;
	uint32_t index;			/* register; special * 4 + axis; base register of MEMORY */
	bool based;			/* MEMORY: @index counts */
	uint64_t value;
};

struct instruction {
	enum op op;
	enum type type, from;
	enum space space;
	enum compare compare;
	struct operand operands[OPERANDS_MAX];
	int nr_operands;
	int guard;			/* predicate register, or -1 */
	bool unless;
	char target[64];
	int to;
};

struct name {
	char text[64];
	int value;			/* of a label: instruction; of a shared variable: offset */
};

struct fake_ptx_code {
	struct instruction list[CODE_MAX];
	int count;
	struct name registers[NAMES_MAX], labels[NAMES_MAX], shared[NAMES_MAX];
	int nr_registers, nr_labels, nr_shared;
};

struct parser {
	const char *at;
	int line;
	char token[128];
	char *said;
	size_t said_bytes;
	bool failed;
	struct fake_ptx_kernel *kernel;
};

/* ---- tokens ------------------------------------------------------------------------ */

static bool __attribute__((format(printf, 2, 3))) bad(struct parser *p, const char *format, ...)
{
	char what[128];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (!p->failed)
		snprintf(p->said, p->said_bytes, "fake ptxas, line %d: error: %s\nand more",
			 p->line, what);
	p->failed = true;
	p->token[0] = '\0';
	return false;
}

static void skip(struct parser *p)
{
	for (;;) {
		if (p->at[0] == '/' && p->at[1] == '/') {
			while (*p->at && *p->at != '\n')
				p->at++;
		} else if (p->at[0] == '/' && p->at[1] == '*') {
			const char *end = strstr(p->at + 2, "*/");

			for (; *p->at && p->at != end; p->at++)
				p->line += *p->at == '\n';
			p->at += end ? 2 : 0;
		} else if (isspace((unsigned char)*p->at)) {
			p->line += *p->at++ == '\n';
		} else {
			return;
		}
	}
}

static bool inside(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '%' || c == '.';
}

/* A word with all its dots, or one character. */
static bool next(struct parser *p)
{
	size_t n = 0;

	skip(p);
	if (p->failed || !*p->at) {
		p->token[0] = '\0';
		return false;
	}
	if (inside(*p->at)) {
		while (inside(*p->at) && n < sizeof(p->token) - 1)
			p->token[n++] = *p->at++;
	} else {
		p->token[n++] = *p->at++;
	}
	p->token[n] = '\0';
	return true;
}

static bool is(const struct parser *p, const char *word)
{
	return !strcmp(p->token, word);
}

static bool want(struct parser *p, const char *word)
{
	return is(p, word) ? next(p) : bad(p, "'%s' where '%s' belongs", p->token, word);
}

static bool number(const char *text, uint64_t *value)
{
	char *end;

	if (text[0] == '0' && (text[1] == 'f' || text[1] == 'F')) {
		*value = strtoull(text + 2, &end, 16);
		return end == text + 10 && !*end;
	}
	if (!isdigit((unsigned char)text[0]))
		return false;
	*value = strtoull(text, &end, 0);
	return !*end || !strcmp(end, "U");
}

static int find(const struct name *names, int count, const char *text)
{
	for (int i = 0; i < count; i++) {
		if (!strcmp(names[i].text, text))
			return i;
	}
	return -1;
}

static bool add(struct parser *p, struct name *names, int *count, const char *text, int value)
{
	if (*count == NAMES_MAX || strlen(text) >= sizeof(names->text))
		return bad(p, "too many or too long names");
	if (find(names, *count, text) >= 0)
		return bad(p, "'%s' is declared twice", text);
	strcpy(names[*count].text, text);
	names[(*count)++].value = value;
	return true;
}

/* ---- declarations ------------------------------------------------------------------ */

static uint32_t width(enum type type)
{
	static const uint32_t bytes[] = {
		[U8] = 1, [U16] = 2, [U32] = 4, [U64] = 8, [S32] = 4, [S64] = 8, [F32] = 4,
		[B32] = 4, [B64] = 8, [PRED] = 8,
	};

	return bytes[type];
}

static enum type type_of(const char *text)
{
	static const char *const names[] = {
		[U8] = "u8", [U16] = "u16", [U32] = "u32", [U64] = "u64", [S32] = "s32",
		[S64] = "s64", [F32] = "f32", [B32] = "b32", [B64] = "b64", [PRED] = "pred",
	};

	if (!strcmp(text, "b8"))
		return U8;
	for (enum type t = U8; t <= PRED; t++) {
		if (!strcmp(text, names[t]))
			return t;
	}
	return NONE;
}

struct variable {
	char name[64];
	enum type type;
	uint64_t align, count;
	bool counted;			/* "<8>": names are NAME0 … */
};

/*
 * ".align 4 .b8 name[12]" from behind the state space; the token is then what follows. A name behind a
 * comma has the type of the one before it.
 */
static bool variable(struct parser *p, struct variable *v)
{
	v->count = 1;
	v->counted = false;
	while (p->token[0] == '.') {
		if (is(p, ".align")) {
			next(p);
			if (!number(p->token, &v->align))
				return bad(p, "'%s' is no alignment", p->token);
		} else if (type_of(p->token + 1)) {
			v->type = type_of(p->token + 1);
		} else if (!is(p, ".ptr") && !is(p, ".global")) {
			return bad(p, "unknown type '%s'", p->token);
		}
		next(p);
	}
	if (!v->type || strlen(p->token) >= sizeof(v->name))
		return bad(p, "a declaration without type");
	if (v->align < width(v->type))
		v->align = width(v->type);
	strcpy(v->name, p->token);
	next(p);
	if (is(p, "[") || is(p, "<")) {
		v->counted = is(p, "<");
		next(p);
		if (!number(p->token, &v->count)) {
			v->count = 0;	/* "[]" */
			return want(p, "]");
		}
		next(p);
		next(p);
	}
	return true;
}

static bool parameters(struct parser *p)
{
	struct fake_ptx_kernel *k = p->kernel;
	struct fake_ptx_param *param;
	struct variable v;

	next(p);
	while (!is(p, ")")) {
		v = (struct variable){ .align = 1 };
		if (!want(p, ".param") || !variable(p, &v))
			return false;
		if (k->nr_params == FAKE_PTX_PARAMS_MAX)
			return bad(p, "too many parameters");
		param = &k->params[k->nr_params++];
		snprintf(param->name, sizeof(param->name), "%s", v.name);
		param->bytes = (uint32_t)(width(v.type) * v.count);
		param->offset = (uint32_t)((k->param_bytes + v.align - 1) & ~(v.align - 1));
		k->param_bytes = param->offset + param->bytes;
		if (is(p, ","))
			next(p);
		else if (!is(p, ")"))
			return bad(p, "'%s' in a list of parameters", p->token);
	}
	return next(p);
}

static bool declaration(struct parser *p)
{
	struct fake_ptx_code *code = p->kernel->code;
	struct fake_ptx_kernel *k = p->kernel;
	struct variable v = { .align = 1 };
	char space = p->token[1], name[80];

	next(p);
	do {
		if (is(p, ","))
			next(p);
		if (!variable(p, &v))
			return false;
		if (space == 'l') {
			k->local_bytes += (uint32_t)(width(v.type) * v.count);
		} else if (space == 's') {
			k->shared_bytes = (uint32_t)((k->shared_bytes + v.align - 1) &
						     ~(v.align - 1));
			if (!add(p, code->shared, &code->nr_shared, v.name,
				 (int)k->shared_bytes))
				return false;
			k->shared_bytes += (uint32_t)(width(v.type) * v.count);
		} else if (v.counted) {
			for (uint64_t i = 0; i < v.count; i++) {
				snprintf(name, sizeof(name), "%s%d", v.name, (int)i);
				if (!add(p, code->registers, &code->nr_registers, name, 0))
					return false;
			}
		} else if (!add(p, code->registers, &code->nr_registers, v.name, 0)) {
			return false;
		}
	} while (is(p, ","));
	return want(p, ";");
}

/* ---- instructions ------------------------------------------------------------------ */

static bool special(const char *text, uint32_t *index)
{
	static const char *const names[] = { "%tid.", "%ntid.", "%ctaid.", "%nctaid." };

	if (!strcmp(text, "%globaltimer")) {
		*index = TIMER * 4;
		return true;
	}
	for (uint32_t i = 0; i < 4; i++) {
		size_t n = strlen(names[i]);

		if (!strncmp(text, names[i], n) && text[n] >= 'x' && text[n] <= 'z' &&
		    !text[n + 1]) {
			*index = i * 4 + (uint32_t)(text[n] - 'x');
			return true;
		}
	}
	return false;
}

static bool word(struct parser *p, struct operand *o)
{
	struct fake_ptx_code *code = p->kernel->code;
	bool minus = is(p, "-");
	int at;

	if (minus)
		next(p);
	if (number(p->token, &o->value)) {
		o->kind = IMMEDIATE;
		o->value = minus ? -o->value : o->value;
		return next(p);
	}
	if (special(p->token, &o->index)) {
		o->kind = SPECIAL;
		return next(p);
	}
	at = find(code->registers, code->nr_registers, p->token);
	if (at >= 0) {
		o->kind = REGISTER;
		o->index = (uint32_t)at;
		return next(p);
	}
	at = find(code->shared, code->nr_shared, p->token);
	if (at >= 0) {
		o->kind = IMMEDIATE;
		o->value = (uint64_t)code->shared[at].value;
		return next(p);
	}
	for (uint32_t i = 0; i < p->kernel->nr_params; i++) {
		if (strcmp(p->kernel->params[i].name, p->token))
			continue;
		o->kind = PARAMETER;
		o->value = p->kernel->params[i].offset;
		return next(p);
	}
	return bad(p, "'%s' is not declared", p->token);
}

static bool operand(struct parser *p, struct operand *o)
{
	struct operand more;

	if (!is(p, "["))
		return word(p, o);
	next(p);
	if (!word(p, o))
		return false;
	o->based = o->kind == REGISTER;
	if (o->based)
		o->value = 0;
	o->kind = MEMORY;
	if (is(p, "+")) {
		next(p);
		if (!word(p, &more) || more.kind != IMMEDIATE)
			return bad(p, "an offset that is none");
		o->value += more.value;
	}
	return want(p, "]");
}

static const struct {
	const char *name;
	enum op op;
	int operands;
} mnemonics[] = {
	{ "ld", LD, 2 }, { "st", ST, 2 }, { "mov", MOV, 2 }, { "cvta", CVTA, 2 },
	{ "add", ADD, 3 }, { "sub", SUB, 3 }, { "mul", MUL, 3 }, { "mad", MAD, 4 },
	{ "fma", FMA, 4 }, { "shl", SHL, 3 }, { "shr", SHR, 3 }, { "and", AND, 3 },
	{ "or", OR, 3 }, { "xor", XOR, 3 }, { "cvt", CVT, 2 }, { "setp", SETP, 3 },
	{ "bra", BRA, 0 }, { "bar", BAR, 0 }, { "ret", RET, 0 }, { "exit", RET, 0 },
	{ "trap", TRAP, 0 },
};

static bool suffix(struct parser *p, struct instruction *i, const char *text)
{
	static const char *const compares[] = { "lt", "le", "gt", "ge", "eq", "ne" };
	static const char *const spaces[] = { "", "param", "global", "shared" };
	static const char *const silent[] = { "lo", "rn", "to", "sync", "uni", "ca", "nc" };

	if (type_of(text)) {
		if (i->type)
			i->from = type_of(text);
		else
			i->type = type_of(text);
		return true;
	}
	for (int n = 0; n < 6; n++) {
		if (!strcmp(text, compares[n])) {
			i->compare = (enum compare)n;
			return true;
		}
	}
	for (int n = 1; n < 4; n++) {
		if (!strcmp(text, spaces[n])) {
			i->space = (enum space)n;
			return true;
		}
	}
	if (!strcmp(text, "wide")) {
		i->op = i->op == MUL ? MULWIDE : MADWIDE;
		return true;
	}
	for (size_t n = 0; n < sizeof(silent) / sizeof(silent[0]); n++) {
		if (!strcmp(text, silent[n]))
			return true;
	}
	return bad(p, "unknown modifier '.%s'", text);
}

static bool mnemonic(struct parser *p, struct instruction *i)
{
	char text[128], *rest = text, *part;

	strcpy(text, p->token);
	part = strsep(&rest, ".");
	for (size_t n = 0; n < sizeof(mnemonics) / sizeof(mnemonics[0]); n++) {
		if (strcmp(part, mnemonics[n].name))
			continue;
		i->op = mnemonics[n].op;
		i->nr_operands = mnemonics[n].operands;
		while ((part = strsep(&rest, "."))) {
			if (!suffix(p, i, part))
				return false;
		}
		if (i->nr_operands && !i->type)
			return bad(p, "'%s' has no type", p->token);
		return next(p);
	}
	return bad(p, "unknown instruction '%s'", p->token);
}

static bool instruction(struct parser *p)
{
	struct fake_ptx_code *code = p->kernel->code;
	struct instruction *i = &code->list[code->count];
	uint64_t barrier;

	if (code->count == CODE_MAX)
		return bad(p, "too many instructions");
	*i = (struct instruction){ .guard = -1 };
	if (is(p, "@")) {
		next(p);
		i->unless = is(p, "!");
		if (i->unless)
			next(p);
		i->guard = find(code->registers, code->nr_registers, p->token);
		if (i->guard < 0)
			return bad(p, "'%s' is no predicate", p->token);
		next(p);
	}
	if (!mnemonic(p, i))
		return false;
	if (i->op == BRA) {
		snprintf(i->target, sizeof(i->target), "%.63s", p->token);
		next(p);
	} else if (i->op == BAR) {
		if (!number(p->token, &barrier) || barrier)
			return bad(p, "barrier 0 only");
		next(p);
	}
	for (int n = 0; n < i->nr_operands; n++) {
		if (n && !want(p, ","))
			return false;
		if (!operand(p, &i->operands[n]))
			return false;
	}
	code->count++;
	return want(p, ";");
}

static bool label(struct parser *p)
{
	const char *at = p->at;

	while (isspace((unsigned char)*at))
		at++;
	return *at == ':';
}

static bool body(struct parser *p)
{
	struct fake_ptx_code *code = p->kernel->code;

	while (!is(p, "}")) {
		if (!p->token[0])
			return bad(p, "the text ends in a kernel");
		if (p->token[0] == '.') {
			if (!is(p, ".reg") && !is(p, ".shared") && !is(p, ".local"))
				return bad(p, "unknown directive '%s'", p->token);
			if (!declaration(p))
				return false;
		} else if (label(p)) {
			if (!add(p, code->labels, &code->nr_labels, p->token, code->count))
				return false;
			next(p);
			next(p);
		} else if (!instruction(p)) {
			return false;
		}
	}
	for (int i = 0; i < code->count; i++) {
		struct instruction *in = &code->list[i];
		int at;

		if (in->op != BRA)
			continue;
		at = find(code->labels, code->nr_labels, in->target);
		if (at < 0)
			return bad(p, "label '%s' is not there", in->target);
		in->to = code->labels[at].value;
	}
	return true;
}

/* ---- the text ---------------------------------------------------------------------- */

static bool kernel(struct parser *p, struct fake_ptx_kernel **kernels)
{
	struct fake_ptx_kernel *k = calloc(1, sizeof(*k));

	k->code = calloc(1, sizeof(*k->code));
	k->next = *kernels;
	*kernels = k;
	p->kernel = k;
	next(p);
	snprintf(k->name, sizeof(k->name), "%.127s", p->token);
	next(p);
	if (is(p, "(") && !parameters(p))
		return false;
	return want(p, "{") && body(p);
}

/* What stands outside of kernels and takes no memory here. */
static bool outside(struct parser *p)
{
	if (is(p, ".version") || is(p, ".target") || is(p, ".address_size"))
		return next(p);
	if (is(p, ".visible"))
		return true;
	if (is(p, ".global") || is(p, ".const")) {
		while (p->token[0] && !is(p, ";"))
			next(p);
		return true;
	}
	return bad(p, "'%s' outside of a kernel", p->token);
}

struct fake_ptx_kernel *fake_ptx_compile(const char *text, char *said, size_t said_bytes)
{
	struct parser p = { .at = text, .line = 1, .said = said, .said_bytes = said_bytes };
	struct fake_ptx_kernel *kernels = NULL;

	if (!next(&p) || !is(&p, ".version"))
		bad(&p, "no .version");
	while (p.token[0] && !p.failed) {
		if (is(&p, ".entry"))
			kernel(&p, &kernels);
		else
			outside(&p);
		next(&p);
	}
	if (!p.failed && !kernels)
		bad(&p, "no kernel");
	if (!p.failed)
		return kernels;
	fake_ptx_free(kernels);
	return NULL;
}

void fake_ptx_free(struct fake_ptx_kernel *kernels)
{
	struct fake_ptx_kernel *k;

	while ((k = kernels)) {
		kernels = k->next;
		free(k->code);
		free(k);
	}
}

/* ---- running ----------------------------------------------------------------------- */

struct thread {
	uint64_t *registers;
	uint32_t id[3];
	int at;
	bool done;
};

struct block {
	const struct fake_ptx_kernel *kernel;
	const struct fake_ptx_grid *grid;
	uint32_t id[3];
	uint8_t *shared;
	int error;
};

static uint64_t timer(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static uint64_t special_value(const struct block *b, const struct thread *t, uint32_t index)
{
	const uint32_t axis = index % 4;

	switch ((enum special)(index / 4)) {
	case TID:
		return t->id[axis];
	case NTID:
		return b->grid->items[axis];
	case CTAID:
		return b->id[axis];
	case NCTAID:
		return b->grid->groups[axis];
	case TIMER:
	default:
		return timer();
	}
}

static uint64_t get(const struct block *b, const struct thread *t, const struct operand *o)
{
	switch (o->kind) {
	case REGISTER:
		return t->registers[o->index];
	case SPECIAL:
		return special_value(b, t, o->index);
	default:
		return o->value;
	}
}

static uint64_t cut(enum type type, uint64_t value)
{
	const uint32_t bytes = width(type);

	if (type == S32)
		return (uint64_t)(int64_t)(int32_t)value;
	return bytes < 8 ? value & ((1ULL << 8 * bytes) - 1) : value;
}

static float f32(uint64_t bits)
{
	uint32_t low = (uint32_t)bits;
	float value;

	memcpy(&value, &low, sizeof(value));
	return value;
}

static uint64_t bits(float value)
{
	uint32_t low;

	memcpy(&low, &value, sizeof(low));
	return low;
}

static uint8_t *locate(struct block *b, const struct thread *t, const struct instruction *i,
		       const struct operand *o)
{
	uint64_t at = o->value + (o->based ? t->registers[o->index] : 0);
	uint64_t shared = (uint64_t)b->kernel->shared_bytes + b->grid->shared_bytes;
	uint64_t bytes = width(i->type);
	uint8_t *found = NULL;

	if (at % bytes) {
		b->error = FAKE_PTX_MISALIGNED;
		return NULL;
	}
	if (i->space == PARAM && at + bytes <= b->kernel->param_bytes)
		found = (uint8_t *)b->grid->params + at;
	else if (i->space == SHARED && at < shared && bytes <= shared - at)
		found = b->shared + at;
	else if (i->space == GLOBAL)
		found = b->grid->memory(at, bytes);
	if (!found)
		b->error = FAKE_PTX_ILLEGAL_ADDRESS;
	return found;
}

static uint64_t arithmetic(const struct instruction *i, uint64_t a, uint64_t b, uint64_t c)
{
	const enum type wide = i->type == S32 ? S64 : U64;
	const bool real = i->type == F32;

	switch (i->op) {
	case ADD:
		return real ? bits(f32(a) + f32(b)) : cut(i->type, a + b);
	case SUB:
		return real ? bits(f32(a) - f32(b)) : cut(i->type, a - b);
	case MUL:
		return real ? bits(f32(a) * f32(b)) : cut(i->type, a * b);
	case MAD:
		return cut(i->type, a * b + c);
	case FMA:
		return bits(__builtin_fmaf(f32(a), f32(b), f32(c)));
	case MULWIDE:
		return cut(wide, cut(i->type, a) * cut(i->type, b));
	case MADWIDE:
		return cut(wide, cut(i->type, a) * cut(i->type, b) + c);
	case SHL:
		return b >= 8 * width(i->type) ? 0 : cut(i->type, a << b);
	case SHR:
		return b >= 8 * width(i->type) ? 0 : cut(i->type, a) >> b;
	case AND:
		return a & b;
	case OR:
		return a | b;
	case XOR:
		return a ^ b;
	default:
		return cut(i->type, i->op == CVT ? cut(i->from, a) : a);
	}
}

static bool compare(const struct instruction *i, uint64_t a, uint64_t b)
{
	const bool is_signed = i->type == S32 || i->type == S64;
	int order;

	a = cut(i->type, a);
	b = cut(i->type, b);
	if (i->type == F32)
		order = f32(a) < f32(b) ? -1 : f32(a) > f32(b);
	else if (is_signed)
		order = (int64_t)a < (int64_t)b ? -1 : (int64_t)a > (int64_t)b;
	else
		order = a < b ? -1 : a > b;
	switch (i->compare) {
	case LT:
		return order < 0;
	case LE:
		return order <= 0;
	case GT:
		return order > 0;
	case GE:
		return order >= 0;
	case EQ:
		return order == 0;
	default:
		return order != 0;
	}
}

static void step(struct block *b, struct thread *t, const struct instruction *i)
{
	uint64_t value[OPERANDS_MAX] = { 0 };
	uint8_t *memory;

	if (i->op == LD || i->op == ST) {
		memory = locate(b, t, i, &i->operands[i->op == LD]);
		if (!memory)
			return;
		if (i->op == LD) {
			value[0] = 0;
			memcpy(value, memory, width(i->type));
			t->registers[i->operands[0].index] = cut(i->type, value[0]);
		} else {
			value[0] = get(b, t, &i->operands[1]);
			memcpy(memory, value, width(i->type));
		}
		return;
	}
	for (int n = 1; n < i->nr_operands; n++)
		value[n] = get(b, t, &i->operands[n]);
	t->registers[i->operands[0].index] = i->op == SETP ? compare(i, value[1], value[2]) :
		arithmetic(i, value[1], value[2], value[3]);
}

/* Until a barrier, the end or a fault. */
static void run_thread(struct block *b, struct thread *t)
{
	const struct fake_ptx_code *code = b->kernel->code;
	const struct instruction *i;

	while (!b->error) {
		if (t->at == code->count) {
			t->done = true;
			return;
		}
		i = &code->list[t->at++];
		if (i->guard >= 0 && !t->registers[i->guard] != i->unless)
			continue;
		if (i->op == RET) {
			t->done = true;
			return;
		}
		if (i->op == BAR)
			return;
		if (i->op == TRAP)
			b->error = FAKE_PTX_TRAP;
		else if (i->op == BRA)
			t->at = i->to;
		else
			step(b, t, i);
	}
}

static void run_block(struct block *b, struct thread *threads, uint32_t count)
{
	uint32_t left = count;

	memset(b->shared, 0xee, (size_t)b->kernel->shared_bytes + b->grid->shared_bytes + 1);
	for (uint32_t n = 0; n < count; n++) {
		threads[n].at = 0;
		threads[n].done = false;
		threads[n].id[0] = n % b->grid->items[0];
		threads[n].id[1] = n / b->grid->items[0] % b->grid->items[1];
		threads[n].id[2] = n / b->grid->items[0] / b->grid->items[1];
	}
	while (left && !b->error) {
		for (uint32_t n = 0; n < count && !b->error; n++) {
			if (threads[n].done)
				continue;
			run_thread(b, &threads[n]);
			left -= threads[n].done;
		}
	}
}

int fake_ptx_run(const struct fake_ptx_kernel *k, const struct fake_ptx_grid *grid)
{
	const uint32_t count = grid->items[0] * grid->items[1] * grid->items[2];
	const uint32_t registers = (uint32_t)k->code->nr_registers + 1;
	struct block b = { .kernel = k, .grid = grid };
	struct thread *threads = calloc(count, sizeof(*threads));
	uint64_t *all = calloc((size_t)count * registers, sizeof(*all));

	b.shared = malloc((size_t)k->shared_bytes + grid->shared_bytes + 1);
	for (uint32_t n = 0; n < count; n++)
		threads[n].registers = all + (size_t)n * registers;
	for (b.id[2] = 0; b.id[2] < grid->groups[2] && !b.error; b.id[2]++) {
		for (b.id[1] = 0; b.id[1] < grid->groups[1] && !b.error; b.id[1]++) {
			for (b.id[0] = 0; b.id[0] < grid->groups[0] && !b.error; b.id[0]++)
				run_block(&b, threads, count);
		}
	}
	free(b.shared);
	free(all);
	free(threads);
	return b.error;
}
