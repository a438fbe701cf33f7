dnl SPDX-License-Identifier: BSD-3-Clause
dnl The macros of configure.ac: dependencies, switches, directories.

dnl PMA_NEED(VARIABLE, pkg-config modules, Debian package)
dnl A dependency. When absent, $missing gets a line that says how to get it; configure ends after the last one.
AC_DEFUN([PMA_NEED], [
  PKG_CHECK_MODULES([$1], [$2], [], [missing="$missing
  $2 was not found: apt-get install $3"])])

dnl PMA_WANT(VARIABLE, pkg-config modules, Debian package, what for)
dnl The same for what we can do without: have_VARIABLE is yes or "no (how to get it)"; HAVE_VARIABLE in config.h.
AC_DEFUN([PMA_WANT], [
  PKG_CHECK_MODULES([$1], [$2],
    [have_$1=yes
     AC_DEFINE([HAVE_$1], [1], [$2 is there ($4)])],
    [have_$1="no (apt-get install $3)"])])

dnl PMA_OPTION(VARIABLE, name, pkg-config modules, Debian package, what)
dnl PMA_WANT with a switch, for what is a part of its own: --enable-NAME wants it, --disable-NAME leaves it out.
AC_DEFUN([PMA_OPTION], [
  AC_ARG_ENABLE([$2], [AS_HELP_STRING([--enable-$2], [$5 (default: where $4 is)])], [], [enable_$2=auto])
  AS_IF([test "$enable_$2" = no], [have_$1="no (--disable-$2)"], [PMA_WANT([$1], [$3], [$4], [$5])])
  AS_IF([test "$enable_$2" = yes && test "$have_$1" != yes],
    [AC_MSG_ERROR([--enable-$2: $3 was not found: apt-get install $4])])])

dnl PMA_SWITCH(name, help): enable_NAME is yes or no
AC_DEFUN([PMA_SWITCH], [
  AC_ARG_ENABLE([$1], [AS_HELP_STRING([--enable-$1], [$2])], [], [enable_$1=no])])

dnl PMA_COMPILES(flag, if so, if not)
AC_DEFUN([PMA_COMPILES], [
  AC_MSG_CHECKING([whether $CC takes $1])
  saved_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $1"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])], [pma_takes=yes], [pma_takes=no])
  CFLAGS=$saved_CFLAGS
  AC_MSG_RESULT([$pma_takes])
  AS_IF([test $pma_takes = yes], [$2], [$3])])

dnl PMA_PYTHON: --enable-python (default: where the interpreter's headers are) and PYTHON. Sets have_PYTHON, to yes or "no (why)",
dnl PYTHON_CPPFLAGS, and pythondir: where the system's interpreter looks below the prefix; Debian has places of its own.
AC_DEFUN([PMA_PYTHON], [
  AC_ARG_ENABLE([python], [AS_HELP_STRING([--enable-python], [the Python package (default: where the headers are)])],
    [], [enable_python=auto])
  AC_ARG_VAR([PYTHON], [the interpreter that the Python package is built for (default: /usr/bin/python3)])
  AS_IF([test -z "$PYTHON"], [PYTHON=/usr/bin/python3])
  pma_ask_python='
import os, sys, sysconfig
include, prefix = sysconfig.get_path("include"), sys.argv[[1]]
version = "python%d.%d" % sys.version_info[[:2]]
if "deb_system" not in sysconfig.get_scheme_names():
    place = version + "/site-packages"
else:
    place = {"/usr": "python3/dist-packages", "/usr/local": version + "/dist-packages", "NONE": version + "/dist-packages"}.get(
        prefix.rstrip("/"), version + "/site-packages")
if sys.version_info >= (3, 11) and os.path.exists(include + "/Python.h"):
    print("-I" + include, place)
'
  have_PYTHON="no (--disable-python)"
  AS_IF([test "$enable_python" != no], [
    AC_MSG_CHECKING([for the headers of $PYTHON, 3.11 or newer])
    set -- `$PYTHON -c "$pma_ask_python" "$prefix" 2>/dev/null`
    AS_IF([test -n "$][2"],
      [have_PYTHON=yes
       AC_SUBST([PYTHON_CPPFLAGS], [$][1])
       pma_python_place=$][2],
      [have_PYTHON="no (apt-get install python3-dev, 3.11 or newer)"])
    AC_MSG_RESULT([$have_PYTHON])])
  AS_IF([test "$enable_python" = yes && test "$have_PYTHON" != yes],
    [AC_MSG_ERROR([--enable-python: the headers of $PYTHON were not found: apt-get install python3-dev (3.11 or newer), or PYTHON=...])])
  AC_ARG_WITH([pythondir], [AS_HELP_STRING([--with-pythondir=DIR], [install the Python package there])],
    [pythondir=$withval], [pythondir='${prefix}/lib/'$pma_python_place])
  AC_SUBST([pythondir])
  AM_CONDITIONAL([WITH_PYTHON], [test "$have_PYTHON" = yes])])

dnl PMA_SYSTEM_DIR(variable, pkg-config module, its variable, fallback below prefix, suffix)
dnl --with-VARIABLE=DIR wins. A system prefix takes what the system says; any other prefix (a home directory,
dnl a packager's or distcheck's tree) keeps to itself, so that an installation never writes where it was not told to.
AC_DEFUN([PMA_SYSTEM_DIR], [
  AC_ARG_WITH([$1], [AS_HELP_STRING([--with-$1=DIR], [install there instead of the system's own place])], [$1=$withval], [
    $1=
    AS_CASE([$prefix], [NONE|/usr|/usr/local|/usr/], [$1=`$PKG_CONFIG --variable=$3 $2 2>/dev/null`])
    AS_IF([test -n "$$1"], [$1="$$1$5"], [$1='${prefix}/$4$5'])])
  AC_SUBST([$1])])
