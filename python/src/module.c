/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * module: _pmemarena, the part of the package pmemarena that is written in C. It has one state a
 * process, and no use of its own: `import pmemarena` adopts the classes that are written in Python.
 */
#include "python.h"

#include <pmemarena.h>

#include "error.h"
#include "life.h"
#include "mapping.h"
#include "pin.h"
#include "record.h"
#include "session.h"
#include "window.h"

PyDoc_STRVAR(adopt_doc, "adopt($module, records, make_error, /)\n--\n\n"
			"For pmemarena/__init__.py: which classes records and errors have.");

static PyObject *adopt(PyObject *module, PyObject *args)
{
	PyObject *records, *make_error;

	if (!PyArg_ParseTuple(args, "OO:adopt", &records, &make_error) || !record_adopt(records))
		return NULL;
	error_set_maker(make_error);
	Py_RETURN_NONE;
}

PyDoc_STRVAR(version_doc, "library_version($module, /)\n--\n\n"
			  "The version of libpmemarena that is in use.");

static PyObject *library_version(PyObject *module, PyObject *unused)
{
	return PyUnicode_FromString(pma_version());
}

static PyMethodDef functions[] = {
	{ "adopt", adopt, METH_VARARGS, adopt_doc },
	{ "library_version", library_version, METH_NOARGS, version_doc },
	{ NULL, NULL, 0, NULL },
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "_pmemarena",
	.m_doc = "The part of pmemarena that is written in C.",
	.m_size = -1,
	.m_methods = functions,
};

static const struct {
	const char *name;
	PyObject *(*make)(void);
} classes[] = {
	{ "Session", session_class_new }, { "Mapping", mapping_class_new },
	{ "Window", window_class_new },	  { "Pin", pin_class_new },
	{ "Pins", pins_class_new },	  { "Piece", piece_class_new },
};

static bool add_classes(PyObject *module)
{
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		PyObject *class = classes[i].make();
		int r = class ? PyModule_AddObjectRef(module, classes[i].name, class) : -1;

		Py_XDECREF(class);
		if (r < 0)
			return false;
	}
	return true;
}

PyMODINIT_FUNC PyInit__pmemarena(void);

PyMODINIT_FUNC PyInit__pmemarena(void)
{
	PyObject *module;

	if (life_init() < 0)
		return NULL;
	module = PyModule_Create(&definition);
	if (module && !add_classes(module))
		Py_CLEAR(module);
	return module;
}
