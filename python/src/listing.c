/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listing: the methods of a session that tell many things at once: a page of a list of allocations,
 * the extents of one.
 */
#include <stdlib.h>

#include "error.h"
#include "name.h"
#include "record.h"
#include "session.h"

#define PAGE 256

struct page {
	struct pma_info infos[PAGE];
	size_t nr;
	uint64_t cursor;
};

static PyObject *page_list(const struct page *page)
{
	PyObject *list = PyList_New(0);

	for (size_t i = 0; list && i < page->nr; i++) {
		PyObject *record = record_info(&page->infos[i]);

		if (!record || PyList_Append(list, record) < 0)
			Py_CLEAR(list);
		Py_XDECREF(record);
	}
	return list;
}

static PyObject *list_page(struct session *session, struct page *page, uint32_t arena,
			   const struct name *prefix)
{
	struct pma *pma = session_enter(session);
	PyObject *list;
	int r;

	if (!pma)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	r = pma_list(page->infos, &page->nr, &page->cursor, pma, arena, prefix->text);
	Py_END_ALLOW_THREADS
	list = r < 0 ? error_raise(r, NULL) : page_list(page);
	session_leave(session);
	return list ? Py_BuildValue("(NK)", list, (unsigned long long)page->cursor) : NULL;
}

PyDoc_STRVAR(list_doc,
	     "list_page($self, arena, prefix=None, cursor=0)\n--\n\n"
	     "A page of the published allocations of an arena, and the cursor of the next\n"
	     "page: 0 after the last one. With a prefix in the order of names.");

static PyObject *session_list(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static const char *const keywords[] = { "arena", "prefix", "cursor", NULL };
	PyObject *number, *text = Py_None, *cursor = NULL, *result;
	struct name prefix;
	struct page *page;
	uint64_t arena, at = 0;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OO:list_page", KEYWORDS(keywords),
					 &number, &text, &cursor))
		return NULL;
	if (!record_read_number(&arena, number, UINT32_MAX, "arena") ||
	    (cursor && !record_read_number(&at, cursor, UINT64_MAX, "cursor")) ||
	    !name_init(&prefix, text))
		return NULL;
	page = malloc(sizeof(*page));
	if (!page) {
		name_fini(&prefix);
		return PyErr_NoMemory();
	}
	page->nr = PAGE;
	page->cursor = at;
	result = list_page((struct session *)self, page, (uint32_t)arena, &prefix);
	free(page);
	name_fini(&prefix);
	return result;
}

/* ---- extents ---- */

static bool append_extents(PyObject *list, const struct pma_extent *extents, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		PyObject *pair = Py_BuildValue("(KK)", (unsigned long long)extents[i].off,
					       (unsigned long long)extents[i].len);
		bool is_appended = pair && PyList_Append(list, pair) == 0;

		Py_XDECREF(pair);
		if (!is_appended)
			return false;
	}
	return true;
}

static PyObject *list_extents(struct pma *pma, struct pma_handle handle)
{
	struct pma_extent extents[PAGE];
	PyObject *list = PyList_New(0);
	size_t nr = PAGE, first = 0;
	int r = 0;

	while (list && nr == PAGE) {
		Py_BEGIN_ALLOW_THREADS
		r = pma_extents(extents, &nr, pma, handle, first);
		Py_END_ALLOW_THREADS
		if (r < 0)
			error_raise(r, NULL);
		if (r < 0 || !append_extents(list, extents, nr))
			Py_CLEAR(list);
		first += nr;
	}
	return list;
}

PyDoc_STRVAR(extents_doc,
	     "extents($self, handle, /)\n--\n\n"
	     "A list of (offset, length) on the arena's device, in bytes. It lends the\n"
	     "allocation: its space is not used again before it was freed and this session is\n"
	     "over, or it is freed with done=True. Who looks up many allocations uses a\n"
	     "window.");

static PyObject *session_extents(PyObject *self, PyObject *object)
{
	struct session *session = (struct session *)self;
	struct pma_handle handle;
	struct pma *pma;
	PyObject *list;

	if (!record_read_handle(&handle, object))
		return NULL;
	pma = session_enter(session);
	if (!pma)
		return NULL;
	list = list_extents(pma, handle);
	session_leave(session);
	return list;
}

PyDoc_STRVAR(device_doc, "device_fd($self, arena, read_only=False)\n--\n\n"
			 "A descriptor of the arena's device, which the session closes.");

static PyObject *session_device(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static const char *const keywords[] = { "arena", "read_only", NULL };
	struct session *session = (struct session *)self;
	struct pma *pma;
	PyObject *number, *result;
	int read_only = 0, fd;
	uint64_t arena;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|p:device_fd", KEYWORDS(keywords), &number,
					 &read_only) ||
	    !record_read_number(&arena, number, UINT32_MAX, "arena"))
		return NULL;
	pma = session_enter(session);
	if (!pma)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	fd = pma_device_fd(pma, (uint32_t)arena, read_only);
	Py_END_ALLOW_THREADS
	result = fd < 0 ? error_raise(fd, NULL) : PyLong_FromLong(fd);
	session_leave(session);
	return result;
}

const PyMethodDef session_listing_methods[] = {
	{ "list_page", METHOD(session_list), METH_VARARGS | METH_KEYWORDS, list_doc },
	{ "extents", session_extents, METH_O, extents_doc },
	{ "device_fd", METHOD(session_device), METH_VARARGS | METH_KEYWORDS, device_doc },
	{ NULL, NULL, 0, NULL },
};
