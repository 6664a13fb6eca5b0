#include "news/feed_media.h"

bool feed_is_picture(const char *url, const char *type)
{
	static const char *const ends[] = {".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif"};
	if (type)
		return strncasecmp(type, "image/", 6) == 0 &&
		       strcasecmp(type, "image/svg+xml") != 0;
	struct str path = str_head(str_of(url), url ? strcspn(url, "?#") : 0);
	for (size_t i = 0; i < ELEMENTS(ends); i++)
		if (str_case_ends(path, ends[i]))
			return true;
	return false;
}

void feed_image_offer(struct feed_image *image, unsigned char *held, unsigned char rank,
		      struct feed_image offered)
{
	bool wider = *held == rank && offered.width > image->width;
	if (!offered.url || !(wider || feed_rank_better(held, rank)))
		return;
	if (!offered.alt)
		offered.alt = image->alt;
	*image = offered;
}

void feed_file_add(struct feed_build *b, struct feed_article *article, struct feed_file file)
{
	enum { STEP = 4 };
	if (!file.url || article->n_files >= FEED_MAX_FILES)
		return;
	if (article->n_files % STEP == 0) {
		struct feed_file *files = feed_build_kept(
		    b, arena_array(b->arena, article->n_files + STEP, sizeof(*files)));
		if (!files)
			return;
		if (article->n_files)
			memcpy(files, article->files, article->n_files * sizeof(*files));
		article->files = files;
	}
	article->files[article->n_files++] = file;
}

static int pixels(const char *text) /* 0 when it tells none, or NULL */
{
	long n = text ? strtol(text, NULL, 10) : 0;
	return n > 0 && n < 100000 ? (int)n : 0;
}

static int width_of(struct feed_build *b, const xmlNode *node)
{
	return pixels(feed_node_attr(b, node, "width"));
}

static char *address_of(struct feed_build *b, const xmlNode *node, const char *attr)
{
	char *url = feed_node_attr(b, node, attr);
	return url ? feed_address(b, feed_node_base(b, node), str_of(url)) : NULL;
}

static struct feed_file file_of(struct feed_build *b, const xmlNode *node, const char *attr,
				const char *length)
{
	char *n = feed_node_attr(b, node, length);
	return (struct feed_file){
	    .url = address_of(b, node, attr),
	    .type = feed_node_attr(b, node, "type"),
	    .length = n && n[0] != '-' ? strtoull(n, NULL, 10) : 0,
	};
}

/* What is told of a picture in elements within media:content. */
static char *description_in(struct feed_build *b, const xmlNode *node)
{
	for (const xmlNode *n = node->children; n; n = n->next) {
		enum feed_ns ns;
		if (!feed_node_is_element(n))
			continue;
		struct str name = feed_node_name(n, &ns);
		if (ns == NS_MEDIA &&
		    (str_case_is(name, "description") || str_case_is(name, "title")))
			return feed_node_title(b, n, false);
	}
	return NULL;
}

void feed_media_read(struct feed_build *b, struct feed_article *article, struct feed_ranks *ranks,
		     const xmlNode *node, unsigned char rank)
{
	enum feed_ns ns;
	bool thumbnail = str_case_is(feed_node_name(node, &ns), "thumbnail");
	char *medium = feed_node_attr(b, node, "medium");
	struct feed_file file = file_of(b, node, "url", "fileSize");
	bool picture = thumbnail || (medium ? strcasecmp(medium, "image") == 0
					    : feed_is_picture(file.url, file.type));
	if (picture) {
		struct feed_image image = {file.url, description_in(b, node), width_of(b, node)};
		feed_image_offer(&article->image, &ranks->image, rank, image);
	} else {
		feed_file_add(b, article, file);
	}
	for (const xmlNode *n = node->children; n; n = n->next)
		if (feed_node_is_element(n) && str_case_is(feed_node_name(n, &ns), "thumbnail")) {
			struct feed_image image = {address_of(b, n, "url"), NULL, width_of(b, n)};
			feed_image_offer(&article->image, &ranks->image, (unsigned char)(rank + 1),
					 image);
		}
}

void feed_enclosure_read(struct feed_build *b, struct feed_article *article,
			 struct feed_ranks *ranks, const xmlNode *node, unsigned char rank)
{
	struct feed_file file = file_of(b, node, "url", "length");
	if (!file.url)
		file.url = address_of(b, node, "href");
	feed_file_add(b, article, file);
	if (feed_is_picture(file.url, file.type))
		feed_image_offer(&article->image, &ranks->image, rank,
				 (struct feed_image){.url = file.url});
}

struct feed_image feed_image_read(struct feed_build *b, const xmlNode *node)
{
	struct feed_image image = {.url = address_of(b, node, "href")};
	if (!image.url)
		image.url = address_of(b, node, "url");
	char *text = NULL;
	for (const xmlNode *n = node->children; n; n = n->next) {
		enum feed_ns ns;
		if (!feed_node_is_element(n))
			continue;
		struct str name = feed_node_name(n, &ns);
		char *value = str_case_is(name, "title") ? feed_node_line(b, n) : NULL;
		if (value)
			image.alt = value;
		if (str_case_is(name, "url") && !text)
			text = feed_node_text(b, n);
		if (str_case_is(name, "width") && (value = feed_node_text(b, n)))
			image.width = pixels(value);
	}
	if (!text && !image.url)
		text = feed_node_text(b, node);
	if (text && !image.url)
		image.url = feed_address(b, feed_node_base(b, node), str_of(text));
	return image.url ? image : (struct feed_image){0};
}
