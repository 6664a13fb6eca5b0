/*
 * The elements of HTML by what becomes of them on their way into an article. The table is the
 * allow-list: what isn't in it loses its tags and keeps its text.
 */
#pragma once

#include "base/str.h"

enum tag_kind {
	TAG_UNKNOWN,  /* transparent: its text stays */
	TAG_GONE,     /* goes with its contents */
	TAG_BOUNDARY, /* transparent, but what is in it stands apart: div, section ... */
	TAG_BLOCK,    /* kept */
	TAG_INLINE,   /* kept */
	TAG_BREAK,    /* br */
	TAG_RULE,     /* hr */
	TAG_IMAGE,    /* img */
	TAG_MEDIA,    /* becomes a link to its address: iframe, video ... */
	TAG_SOURCE,   /* may tell the address of a medium around it: source, param, embed */
	TAG_NOSCRIPT, /* only a picture in it counts */
};

/* What is kept, by the name that it is written with. */
enum tag {
	T_NONE,
	T_P,
	T_H1,
	T_H2,
	T_H3,
	T_H4,
	T_H5,
	T_H6,
	T_UL,
	T_OL,
	T_LI,
	T_DL,
	T_DT,
	T_DD,
	T_BLOCKQUOTE,
	T_DIV,
	T_PRE,
	T_FIGURE,
	T_FIGCAPTION,
	T_TABLE,
	T_CAPTION,
	T_THEAD,
	T_TBODY,
	T_TFOOT,
	T_TR,
	T_TD,
	T_TH,
	T_HR,
	T_BR,
	T_IMG,
	T_A,
	T_ABBR,
	T_B,
	T_BDI,
	T_BDO,
	T_CITE,
	T_CODE,
	T_DEL,
	T_EM,
	T_I,
	T_INS,
	T_KBD,
	T_MARK,
	T_Q,
	T_S,
	T_SAMP,
	T_SMALL,
	T_SPAN,
	T_STRONG,
	T_SUB,
	T_SUP,
	T_TIME,
	T_U,
	T_VAR,
	TAGS,
};

/* How a kept block may be filled. */
enum tag_content {
	CONTENT_NONE,      /* it is no block, or it is empty by nature */
	CONTENT_BLOCKS,    /* blocks; bare text gets a paragraph */
	CONTENT_BOTH,      /* text and blocks: list items, cells */
	CONTENT_TEXT,      /* text and inline elements only */
	CONTENT_STRUCTURE, /* only certain blocks: ul, table, tr ... */
};

struct tag_use {
	enum tag_kind kind;
	enum tag tag;
};

struct tag_use tag_find(struct str name); /* in any case; unknown names: TAG_UNKNOWN, T_NONE */
const char *tag_name(enum tag tag);
enum tag_content tag_content(enum tag tag); /* of T_NONE: that of the whole article */
