/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pin: see pin.h. A view has a reference to its pin, the pin one to its window, and that one to its
 * session; so they can only go in that order.
 */
#include "pin.h"

#include <errno.h>
#include <string.h>

#include "block.h"
#include "error.h"
#include "record.h"
#include "window.h"

struct pin {
	PyObject_HEAD PyObject *owner; /* owned; a Window, or the Pins that it is one of */
	struct block *block;
	size_t i; /* its number in the block */
	bool has_block; /* owned; else borrowed from the Pins */
	uint64_t limit; /* so many of its bytes are shown, at most */
};

static PyObject *pin_class, *piece_class; /* owned */

PyObject *pin_new(PyObject *owner, struct block *block, size_t i, bool takes_block)
{
	PyTypeObject *type = (PyTypeObject *)pin_class;
	struct pin *pin = (struct pin *)PyType_GenericAlloc(type, 0);

	if (!pin) {
		if (takes_block)
			block_free(block);
		return NULL;
	}
	Py_INCREF(owner);
	pin->owner = owner;
	pin->block = block;
	pin->i = i;
	pin->has_block = takes_block;
	pin->limit = UINT64_MAX;
	return (PyObject *)pin;
}

static int pin_traverse(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	Py_VISIT(((struct pin *)self)->owner);
	return 0;
}

static void pin_dealloc(PyObject *self)
{
	struct pin *pin = (struct pin *)self;
	PyTypeObject *type = Py_TYPE(self);

	PyObject_GC_UnTrack(self);
	if (pin->has_block)
		block_free(pin->block);
	Py_XDECREF(pin->owner);
	PyObject_GC_Del(self);
	Py_DECREF(type);
}

/* The library's pin, which is held. NULL with an exception. */
static struct pma_pin *pin_of(PyObject *self)
{
	struct pin *pin = (struct pin *)self;

	return block_check(pin->block, pin->i) ? &pin->block->pins[pin->i] : NULL;
}

/* How many of its bytes it shows. */
static uint64_t shown(PyObject *self, const struct pma_pin *it)
{
	uint64_t limit = ((struct pin *)self)->limit;

	return it->total < limit ? it->total : limit;
}

/* ---- putting ---- */

PyDoc_STRVAR(put_doc,
	     "put($self, defer=False)\n--\n\n"
	     "End it: its space may become somebody else's once it is freed. Putting twice is\n"
	     "fine. BufferError: views of it are in use; with defer=True it ends after the\n"
	     "last of them.");

static PyObject *pin_put(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static const char *const keywords[] = { "defer", NULL };
	struct pin *pin = (struct pin *)self;
	int defer = 0;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|p:put", KEYWORDS(keywords), &defer) ||
	    !block_put(pin->block, pin->i, defer))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *pin_enter(PyObject *self, PyObject *unused)
{
	if (!pin_of(self))
		return NULL;
	Py_INCREF(self);
	return self;
}

static PyObject *pin_exit(PyObject *self, PyObject *args)
{
	struct pin *pin = (struct pin *)self;

	block_put(pin->block, pin->i, true);
	Py_RETURN_NONE;
}

/* ---- views ---- */

static int fill_view(Py_buffer *view, PyObject *self, struct pin *pin, void *address, uint64_t len,
		     int flags)
{
	view->obj = NULL;
	if (!block_begin_view(pin->block, pin->i))
		return -1;
	if (PyBuffer_FillInfo(view, self, address, (Py_ssize_t)len, !pin->block->is_writable,
			      flags) < 0) {
		block_end_view(pin->block, pin->i);
		return -1;
	}
	return 0;
}

static int pin_get_buffer(PyObject *self, Py_buffer *view, int flags)
{
	struct pma_pin *it = pin_of(self);

	view->obj = NULL;
	if (!it)
		return -1;
	if (it->len < shown(self, it)) {
		PyErr_Format(
			PyExc_BufferError,
			"it lies in %u pieces: use pieces(), or create it with contiguous=True",
			(unsigned)it->nr_pieces);
		return -1;
	}
	return fill_view(view, self, (struct pin *)self, it->address, shown(self, it), flags);
}

static void pin_release_buffer(PyObject *self, Py_buffer *view)
{
	struct pin *pin = (struct pin *)self;

	block_end_view(pin->block, pin->i);
}

/* ---- pieces ---- */

/* What exports one piece of a pin. Programs see views of it alone. */
struct piece {
	PyObject_HEAD PyObject *pin; /* owned */
	struct pma_range range;
};

static int piece_traverse(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	Py_VISIT(((struct piece *)self)->pin);
	return 0;
}

static void piece_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	PyObject_GC_UnTrack(self);
	Py_XDECREF(((struct piece *)self)->pin);
	PyObject_GC_Del(self);
	Py_DECREF(type);
}

static int piece_get_buffer(PyObject *self, Py_buffer *view, int flags)
{
	struct piece *piece = (struct piece *)self;

	return fill_view(view, self, (struct pin *)piece->pin, piece->range.address,
			 piece->range.len, flags);
}

static void piece_release_buffer(PyObject *self, Py_buffer *view)
{
	struct pin *pin = (struct pin *)((struct piece *)self)->pin;

	block_end_view(pin->block, pin->i);
}

static PyObject *piece_view(PyObject *pin, const struct pma_range *range)
{
	PyTypeObject *type = (PyTypeObject *)piece_class;
	struct piece *piece = (struct piece *)PyType_GenericAlloc(type, 0);
	PyObject *view;

	if (!piece)
		return NULL;
	Py_INCREF(pin);
	piece->pin = pin;
	piece->range = *range;
	view = PyMemoryView_FromObject((PyObject *)piece);
	Py_DECREF((PyObject *)piece);
	return view;
}

static bool append_view(PyObject *list, PyObject *pin, const struct pma_range *range)
{
	PyObject *view = piece_view(pin, range);
	bool is_appended = view && PyList_Append(list, view) == 0;

	Py_XDECREF(view);
	return is_appended;
}

PyDoc_STRVAR(pieces_doc,
	     "pieces($self, /)\n--\n\n"
	     "Its memory as a list of memoryviews, in order: one for what was made with\n"
	     "contiguous=True, and perhaps several otherwise.");

static PyObject *pin_pieces(PyObject *self, PyObject *unused)
{
	struct pma_pin *it = pin_of(self);
	PyObject *list = it ? PyList_New(0) : NULL;
	uint64_t rest = it ? shown(self, it) : 0;

	for (uint32_t i = 0; list && rest > 0; i++) {
		struct pma_range range;
		size_t nr = 1;

		/* Another thread may have put it: a list may collect garbage, which runs Python. */
		it = pin_of(self);
		if (!it || pma_pin_pieces(&range, &nr, it, i) < 0 || nr != 1) {
			Py_CLEAR(list);
			break;
		}
		if (range.len > rest)
			range.len = rest;
		rest -= range.len;
		if (!append_view(list, self, &range))
			Py_CLEAR(list);
	}
	return list;
}

/* ---- copies ---- */

/* Copies @len bytes from byte @off on, which is inside, without the interpreter's lock. */
static void copy_pieces(char *to, const struct pma_pin *it, uint64_t off, uint64_t len)
{
	struct pma_range range;
	size_t nr = 1;

	for (size_t i = 0; len > 0; i++) {
		uint64_t part;

		if (pma_pin_pieces(&range, &nr, it, i) < 0 || nr != 1)
			return;
		if (off >= range.len) {
			off -= range.len;
			continue;
		}
		part = range.len - off < len ? range.len - off : len;
		memcpy(to, (const char *)range.address + off, part);
		to += part;
		len -= part;
		off = 0;
	}
}

static PyObject *read_into(PyObject *self, const Py_buffer *buffer, uint64_t off)
{
	struct pin *pin = (struct pin *)self;
	struct pma_pin *it = pin_of(self);
	uint64_t len = (uint64_t)buffer->len, has = it ? shown(self, it) : 0;

	if (!it)
		return NULL;
	if (off > has || len > has - off) {
		PyErr_Format(PyExc_ValueError, "%llu bytes at %llu are not inside of its %llu",
			     (unsigned long long)len, (unsigned long long)off,
			     (unsigned long long)has);
		return NULL;
	}
	/* As a view: nobody can put it meanwhile. */
	if (!block_begin_view(pin->block, pin->i))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	copy_pieces(buffer->buf, it, off, len);
	Py_END_ALLOW_THREADS
	block_end_view(pin->block, pin->i);
	Py_RETURN_NONE;
}

PyDoc_STRVAR(read_doc,
	     "read_into(buffer, offset=0)\n--\n\n"
	     "Fill buffer (writable, contiguous) with its bytes from offset on, with other\n"
	     "threads running meanwhile; also of what lies in pieces. ValueError: it has not\n"
	     "so many.");

static PyObject *pin_read_into(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static const char *const keywords[] = { "buffer", "offset", NULL };
	PyObject *object, *offset = NULL, *result;
	Py_buffer buffer;
	uint64_t off = 0;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:read_into", KEYWORDS(keywords), &object,
					 &offset) ||
	    (offset && !record_read_number(&off, offset, UINT64_MAX, "offset")) ||
	    PyObject_GetBuffer(object, &buffer, PyBUF_WRITABLE) < 0)
		return NULL;
	result = read_into(self, &buffer, off);
	PyBuffer_Release(&buffer);
	return result;
}

/* ---- what it is ---- */

PyDoc_STRVAR(shorten_doc,
	     "shorten($self, len, /)\n--\n\n"
	     "From now on it has len bytes, the first ones: views that are made later, pieces\n"
	     "and len(). An allocation is as long as its pages; what is stored in it may be\n"
	     "shorter. ValueError: it has not so many.");

static PyObject *pin_shorten(PyObject *self, PyObject *arg)
{
	struct pma_pin *it = pin_of(self);
	uint64_t len;

	if (!it || !record_read_number(&len, arg, UINT64_MAX, "len"))
		return NULL;
	if (len == 0 || len > shown(self, it)) {
		PyErr_Format(PyExc_ValueError, "it has %llu bytes and cannot be shortened to %llu",
			     (unsigned long long)shown(self, it), (unsigned long long)len);
		return NULL;
	}
	((struct pin *)self)->limit = len;
	Py_RETURN_NONE;
}

static Py_ssize_t pin_length(PyObject *self)
{
	struct pma_pin *it = pin_of(self);

	return it ? (Py_ssize_t)shown(self, it) : -1;
}

static PyObject *get_handle(PyObject *self, void *unused)
{
	struct pma_pin *it = pin_of(self);

	return it ? record_handle(it->handle) : NULL;
}

static PyObject *get_address(PyObject *self, void *unused)
{
	struct pma_pin *it = pin_of(self);

	return it ? PyLong_FromVoidPtr(it->address) : NULL;
}

static PyObject *get_version(PyObject *self, void *unused)
{
	struct pma_pin *it = pin_of(self);

	return it ? PyLong_FromUnsignedLongLong(it->version) : NULL;
}

static PyObject *get_attributes(PyObject *self, void *unused)
{
	struct pma_pin *it = pin_of(self);

	return it ? PyBytes_FromStringAndSize((const char *)it->attributes,
					      (Py_ssize_t)it->attributes_len)
		  : NULL;
}

static PyObject *get_nr_pieces(PyObject *self, void *unused)
{
	struct pma_pin *it = pin_of(self);

	return it ? PyLong_FromUnsignedLong(it->nr_pieces) : NULL;
}

/* Which of uid, gid and mode the getter is for. */
enum right { UID, GID, MODE };

static PyObject *get_right(PyObject *self, void *which)
{
	struct pma_pin *it = pin_of(self);

	if (!it)
		return NULL;
	switch ((enum right)(uintptr_t)which) {
	case UID:
		return PyLong_FromUnsignedLong(it->uid);
	case GID:
		return PyLong_FromUnsignedLong(it->gid);
	default:
		return PyLong_FromUnsignedLong(it->mode);
	}
}

static PyObject *get_readonly(PyObject *self, void *unused)
{
	return PyBool_FromLong(!((struct pin *)self)->block->is_writable);
}

static PyObject *get_is_put(PyObject *self, void *unused)
{
	struct pin *pin = (struct pin *)self;

	return PyBool_FromLong(pin->block->uses[pin->i].state != PIN_HELD ||
			       pin->block->window->life.state != LIFE_OPEN);
}

static PyMethodDef methods[] = {
	{ "put", METHOD(pin_put), METH_VARARGS | METH_KEYWORDS, put_doc },
	{ "pieces", pin_pieces, METH_NOARGS, pieces_doc },
	{ "read_into", METHOD(pin_read_into), METH_VARARGS | METH_KEYWORDS, read_doc },
	{ "shorten", pin_shorten, METH_O, shorten_doc },
	{ "__enter__", pin_enter, METH_NOARGS, NULL },
	{ "__exit__", pin_exit, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef properties[] = {
	{ "handle", get_handle, NULL, "The allocation.", NULL },
	{ "address", get_address, NULL, "Of its first piece.", NULL },
	{ "attributes", get_attributes, NULL, "bytes, of the version that is pinned.", NULL },
	{ "version", get_version, NULL, "The low 32 bits of Info.version, at least.", NULL },
	{ "nr_pieces", get_nr_pieces, NULL, "1 for what is contiguous.", NULL },
	{ "uid", get_right, NULL, "Its owner.", (void *)UID },
	{ "gid", get_right, NULL, "Its group.", (void *)GID },
	{ "mode", get_right, NULL, "Who else may open it.", (void *)MODE },
	{ "readonly", get_readonly, NULL, "True: its views cannot be written to.", NULL },
	{ "is_put", get_is_put, NULL, "True: it may not be used any more.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

PyDoc_STRVAR(pin_doc,
	     "A pinned allocation, from Window.get(): whoever frees it, its bytes stay until\n"
	     "put(). memoryview(pin), numpy.frombuffer(pin) and torch.frombuffer(pin) are its\n"
	     "memory without a copy, read-only unless it was got with write=True; len(pin)\n"
	     "its bytes. It is put when it goes out of use. As a context manager it is put at\n"
	     "the end of the block, or after the last view.");

PyObject *pin_class_new(void)
{
	PyType_Slot slots[] = {
		{ Py_tp_doc, (void *)pin_doc },
		{ Py_tp_dealloc, SLOT(pin_dealloc) },
		{ Py_tp_traverse, SLOT(pin_traverse) },
		{ Py_tp_methods, methods },
		{ Py_tp_getset, properties },
		{ Py_sq_length, SLOT(pin_length) },
		{ Py_bf_getbuffer, SLOT(pin_get_buffer) },
		{ Py_bf_releasebuffer, SLOT(pin_release_buffer) },
		{ 0, NULL },
	};
	PyType_Spec spec = { .name = "pmemarena.Pin",
			     .basicsize = sizeof(struct pin),
			     .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
				      Py_TPFLAGS_DISALLOW_INSTANTIATION,
			     .slots = slots };

	pin_class = PyType_FromSpec(&spec);
	Py_XINCREF(pin_class);
	return pin_class;
}

PyObject *piece_class_new(void)
{
	PyType_Slot slots[] = {
		{ Py_tp_dealloc, SLOT(piece_dealloc) },
		{ Py_tp_traverse, SLOT(piece_traverse) },
		{ Py_bf_getbuffer, SLOT(piece_get_buffer) },
		{ Py_bf_releasebuffer, SLOT(piece_release_buffer) },
		{ 0, NULL },
	};
	PyType_Spec spec = { .name = "pmemarena.Piece",
			     .basicsize = sizeof(struct piece),
			     .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
				      Py_TPFLAGS_DISALLOW_INSTANTIATION,
			     .slots = slots };

	piece_class = PyType_FromSpec(&spec);
	Py_XINCREF(piece_class);
	return piece_class;
}
